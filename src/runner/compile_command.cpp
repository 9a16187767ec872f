#include "runner/compile_command.h"

#include "platform/process/file.h"
#include "protocol/compile_result.h"
#include "sandbox/compiler.h"

namespace bulkhead::runner {
namespace {

constexpr int kInputFd = 3;
constexpr int kOutputFd = 4;

Result<std::string> compile_input() {
  BH_TRY(const std::string wasm, process::read_all(kInputFd, Bytes{sandbox::kMaxModuleSize}));
  BH_TRY(const auto compiler, sandbox::Compiler::create(sandbox::Metering::kNone));
  std::string code;
  if (!wasm.empty()) {
    BH_TRY(code, compiler->compile(wasm));
  }
  return protocol::encode_compile_result(
      {.target = std::string(sandbox::compile_target()), .engine_fingerprint = compiler->fingerprint(), .code = code});
}

}  // namespace

int run_compiler() {
  const auto compiled = compile_input();
  const auto written =
      process::write_all(kOutputFd, compiled ? *compiled : protocol::encode_compile_error(compiled.error()));
  return written ? 0 : 1;
}

}  // namespace bulkhead::runner
