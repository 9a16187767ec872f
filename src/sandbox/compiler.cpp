#include "sandbox/compiler.h"

#include <fmt/format.h>

#include "sandbox/native_settings.h"

namespace bulkhead::sandbox {

Status validate_module(std::string_view wasm) {
  if (wasm.size() > kMaxModuleSize) {
    return fail(ErrorCode::kModuleRejected,
                fmt::format("The module has {}; at most {} are accepted.", to_string(Bytes{wasm.size()}),
                            to_string(Bytes{kMaxModuleSize})));
  }
  NativeBuffer message;
  switch (bh_module_check(native_bytes(wasm), wasm.size(), message.out())) {
    case BH_MODULE_OK:
      return {};
    case BH_MODULE_REJECTED:
      return fail(ErrorCode::kModuleRejected, message.text());
    case BH_MODULE_MISSING_EXPORT:
      return fail(ErrorCode::kAbiMissingExport, message.text());
  }
  return fail(ErrorCode::kInternal);
}

Result<std::unique_ptr<Compiler>> Compiler::create(Metering metering) {
  const bh_engine_settings settings = code_settings(metering);
  NativeBuffer reason;
  Native native(bh_engine_new(&settings, reason.out()));
  if (!native) return fail(ErrorCode::kUnavailable, "The compiler can't start on this machine.", reason.text());
  return std::unique_ptr<Compiler>(new Compiler(std::move(native)));
}

Compiler::Compiler(Native native) : native_(std::move(native)), fingerprint_(fingerprint_of(native_.get())) {}

void Compiler::Delete::operator()(bh_engine* engine) const { bh_engine_delete(engine); }

Result<std::string> Compiler::compile(std::string_view wasm) const {
  BH_TRY_VOID(validate_module(wasm));
  NativeBuffer out;
  if (!bh_module_compile(native_.get(), native_bytes(wasm), wasm.size(), out.out())) {
    return fail(ErrorCode::kModuleRejected, "The module can't be compiled: " + out.text());
  }
  return out.text();
}

std::string_view compile_target() {
#if defined(__x86_64__)
  return "x86_64-linux-gnu";
#elif defined(__aarch64__)
  return "aarch64-linux-gnu";
#else
#error "guests are compiled for x86-64 and AArch64 only"
#endif
}

}  // namespace bulkhead::sandbox
