// The ABI check of modules from outside. What it accepts must also be accepted by the code generator and the linker,
// and a run of it must end with a result. Inputs that begin with "(" are WebAssembly text, so that seeds are readable.
#include <cstdlib>

#include "sandbox/execution.h"
#include "sandbox/test_guests.h"

using namespace bulkhead;
using namespace bulkhead::sandbox;

namespace {

const SystemClock kClock;

class DenyingCalls final : public HostCalls {
 public:
  std::optional<HostAnswer> start(Execution&, HostCallToken, std::string_view, std::string_view) override {
    return HostAnswer{.code = protocol::HostCode::kDenied};
  }
};

std::string wasm_of_input(std::string_view input) {
  if (!input.starts_with('(')) return std::string(input);
  NativeBuffer out;
  return bh_wat_to_wasm(native_bytes(input), input.size(), out.out()) ? out.text() : std::string();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto engine = Engine::create({.slots = 2}, kClock).value();
  static const auto compiler = Compiler::create(Metering::kNone).value();
  const std::string wasm = wasm_of_input({reinterpret_cast<const char*>(data), size});
  if (!validate_module(wasm)) return 0;
  const auto code = compiler->compile(wasm);
  if (!code) std::abort();
  const auto module = testing::load_code(engine, *code);
  if (!module) std::abort();
  DenyingCalls calls;
  protocol::Limits limits;
  limits.memory = 16_MiB;
  limits.timeout = Millis(20);
  const auto run = Execution::create(
      *module, {.request = "{}", .limits = limits, .deadline = kClock.steady_now() + limits.timeout}, calls);
  while ((*run)->resume() == Progress::kYielded) {
  }
  if (!(*run)->is_done()) std::abort();
  return 0;
}
