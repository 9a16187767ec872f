// ModuleCompiler: the port through which publishing has a guest validated and compiled in the separate compiler process
// (contracts/extensions.md §3), so that a module that can't run never becomes a version. The runners room implements
// it.
#pragma once

#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "platform/async/task.h"

namespace bulkhead::extensions {

struct CompiledInfo {
  std::string target;  // "x86_64-linux-gnu"
  std::string engine_fingerprint;
};

class ModuleCompiler {
 public:
  virtual ~ModuleCompiler() = default;
  // Keeps the code where the first call finds it. kModuleRejected or kAbiMissingExport with a message for the author;
  // kOverloaded, kUnavailable, store errors.
  virtual Task<Result<CompiledInfo>> compile(ContentHash content_hash, std::string wasm) = 0;
};

}  // namespace bulkhead::extensions
