#include "runner/compile_command.h"

#include <unistd.h>

#include <csignal>

#include "platform/process/file.h"
#include "protocol/compile_result.h"
#include "runner/sandbox_layers.h"
#include "sandbox/compiler.h"

namespace bulkhead::runner {
namespace {

constexpr int kInputFd = 3;
constexpr int kOutputFd = 4;

constexpr int kOutOfTime = 3;

// The first process of a namespace ignores signals that it has no handler for.
void end_when_out_of_time() {
  static_cast<void>(std::signal(SIGXCPU, [](int) { ::_exit(kOutOfTime); }));
}

SandboxLayers seal_off() {
  const SandboxIdentity identity;
  SandboxLayers layers = drop_privileges({kInputFd, kOutputFd}, identity);
  seal_process(layers, identity, SandboxRole::kCompiler);
  filter_system_calls(layers, SandboxRole::kCompiler);
  return layers;
}

Result<std::string> compile_input(const CompileOptions& options) {
  const SandboxLayers layers = seal_off();
  BH_TRY_VOID(protocol::check_required_layers(layers, options.required_layers));
  BH_TRY(const std::string wasm, process::read_all(kInputFd, Bytes{sandbox::kMaxModuleSize}));
  BH_TRY(const auto compiler, sandbox::Compiler::create(sandbox::Metering::kNone));
  std::string code;
  if (!wasm.empty()) {
    BH_TRY(code, compiler->compile(wasm));
  }
  return protocol::encode_compile_result({.target = std::string(sandbox::compile_target()),
                                          .engine_fingerprint = compiler->fingerprint(),
                                          .sandbox_json = protocol::to_json(layers),
                                          .code = code});
}

}  // namespace

int run_compiler(const CompileOptions& options) {
  end_when_out_of_time();
  const auto compiled = compile_input(options);
  const auto written =
      process::write_all(kOutputFd, compiled ? *compiled : protocol::encode_compile_error(compiled.error()));
  return written ? 0 : 1;
}

}  // namespace bulkhead::runner
