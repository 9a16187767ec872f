#include "runner/module_loader.h"

#include <sys/mman.h>

#include "base/sha256.h"
#include "platform/process/errno_error.h"
#include "platform/process/memfd.h"

namespace bulkhead::runner {
namespace {

std::unexpected<Error> refuse(std::string detail) {
  return fail(ErrorCode::kModuleInvalid, "The module's machine code was refused.", std::move(detail));
}

Result<ContentHash> hash_file(int fd, std::uint64_t size) {
  void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (mapped == MAP_FAILED) return process::fail_errno(errno, "mmap", "machine code");
  const auto digest = sha256({static_cast<const char*>(mapped), size});
  ::munmap(mapped, size);
  return ContentHash::from_bytes(digest);
}

}  // namespace

Result<std::shared_ptr<const sandbox::Module>> load_offered_module(const std::shared_ptr<sandbox::Engine>& engine,
                                                                   const protocol::ModuleOffer& offer,
                                                                   const process::UniqueFd& file,
                                                                   const protocol::CodePublicKey& key) {
  if (!protocol::verify_module_offer(offer, key)) {
    return fail(ErrorCode::kRunnerSignatureInvalid, "The module's machine code is not signed by this installation.");
  }
  if (offer.engine_fingerprint != engine->fingerprint()) return refuse("made for engine " + offer.engine_fingerprint);
  const auto size = process::verify_sealed(file.get());
  if (!size) return refuse(size.error().to_log_string());
  if (size->value != offer.code_size || size->value == 0)
    return refuse("the file has another size than the offer says");
  BH_TRY(const auto hash, hash_file(file.get(), size->value));
  if (hash != offer.code_hash) return refuse("the file has another hash than the offer says");
  return sandbox::Module::load(engine, file.get());
}

}  // namespace bulkhead::runner
