// CompilerProcess: turns wasm into machine code in a separate, short-lived, limited child (contracts/extensions.md §3:
// compile-time denial of service must not touch the server). One child per compile: `bulkhead compiler`, which reads a
// sealed memfd and writes another; see runner/compile_command.h for its side.
//
// Blocks its own threads, never a core's. At most `parallel` children at once, at most `queue` waiting (kOverloaded).
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "platform/async/thread_pool.h"
#include "platform/observe/metrics.h"

namespace bulkhead::runners {

struct CompilerOptions {
  std::string program;                 // process::self_exe()
  std::vector<std::string> arguments;  // {"compiler"}
  std::size_t parallel = 2;
  std::size_t queue = 64;
  Millis timeout{120'000};  // wall; CPU time is limited to the same
  Bytes memory = 4_GiB;     // address space of the child
  Bytes code_limit = 512_MiB;
};

struct CompiledCode {
  std::string code;
  std::string target;
  std::string engine_fingerprint;
  std::string sandbox_json;  // protocol::SandboxLayers of the child
};
struct EngineIdentity {
  std::string target;
  std::string engine_fingerprint;
  std::string sandbox_json;
};

class CompilerProcess {
 public:
  CompilerProcess(CompilerOptions options, metrics::Registry& registry);

  // kModuleRejected and kAbiMissingExport with the compiler's message; kModuleRejected too when it ran out of time or
  // memory on this module; kUnavailable when the child could not be started.
  Task<Result<CompiledCode>> compile(std::string wasm);
  // What this build compiles for. Blocking; at start.
  Result<EngineIdentity> describe();

 private:
  Result<CompiledCode> run_child(const std::string& wasm) const;

  CompilerOptions options_;
  metrics::Histogram& duration_;
  metrics::Counter& failures_;
  ThreadPool threads_;
};

}  // namespace bulkhead::runners
