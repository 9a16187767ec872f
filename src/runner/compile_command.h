// The compiler child's side of features/runners/compiler_process.h: reads wasm from descriptor 3 (a sealed memfd),
// writes a protocol::CompileResult or the error to descriptor 4. An empty input asks only for target, engine
// fingerprint and sandbox layers. The process is sealed off before it looks at the first byte.
#pragma once

#include <string>
#include <vector>

namespace bulkhead::runner {

struct CompileOptions {
  std::vector<std::string> required_layers;  // without which it answers kUnavailable
};

// The process's exit code: 0 when an answer was written (also one that says why the module is refused).
int run_compiler(const CompileOptions& options);

}  // namespace bulkhead::runner
