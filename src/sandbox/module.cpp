#include "sandbox/module.h"

#include <bulkhead_native.h>
#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "sandbox/native_buffer.h"

namespace bulkhead::sandbox {

Result<std::shared_ptr<const Module>> Module::load(std::shared_ptr<Engine> engine, int fd) {
  const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return fail(ErrorCode::kModuleInvalid, "The module's code can't be opened.", std::strerror(errno));
  NativeBuffer reason;
  Native native(bh_module_load(engine->native(), own, reason.out()));
  if (!native) {
    return fail(ErrorCode::kModuleInvalid, "The module's machine code does not fit this runner.", reason.text());
  }
  return std::shared_ptr<const Module>(new Module(std::move(engine), std::move(native)));
}

Module::Module(std::shared_ptr<Engine> engine, Native native)
    : engine_(std::move(engine)), native_(std::move(native)) {}

void Module::Delete::operator()(bh_module* module) const { bh_module_delete(module); }

}  // namespace bulkhead::sandbox
