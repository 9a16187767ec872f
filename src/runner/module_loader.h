// Turns a ModuleOffer and its file into a loaded module, or refuses: the one place where machine code enters the
// runner.
#pragma once

#include <memory>

#include "platform/process/unique_fd.h"
#include "protocol/module_signature.h"
#include "sandbox/module.h"

namespace bulkhead::runner {

// Checks, in this order and before anything is mapped executable: the offer's signature (kRunnerSignatureInvalid), that
// it is for this engine, that the file is a memfd with every seal, its size and its SHA-256 (kModuleInvalid otherwise).
// Blocks for as long as hashing takes (about 1 ms per MB); any thread.
Result<std::shared_ptr<const sandbox::Module>> load_offered_module(const std::shared_ptr<sandbox::Engine>& engine,
                                                                   const protocol::ModuleOffer& offer,
                                                                   const process::UniqueFd& file,
                                                                   const protocol::CodePublicKey& key);

}  // namespace bulkhead::runner
