// The compiler child's side of features/runners/compiler_process.h: reads wasm from descriptor 3 (a sealed memfd),
// writes a protocol::CompileResult or the error to descriptor 4. An empty input asks only for target and engine
// fingerprint.
#pragma once

namespace bulkhead::runner {

// The process's exit code: 0 when an answer was written (also one that says why the module is refused).
int run_compiler();

}  // namespace bulkhead::runner
