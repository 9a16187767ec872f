// Every pointer and length that a guest can give: a fixed guest performs what the input says, in records of an
// operation and three numbers. Whatever they are, the run ends with a result and the next run finds clean memory.
#include <cstdlib>

#include "sandbox/execution.h"
#include "sandbox/test_guests.h"

using namespace bulkhead;
using namespace bulkhead::sandbox;

namespace {

const SystemClock kClock;

// Records of 16 bytes: operation (the lowest 3 bits), a, b, c.
constexpr std::string_view kPerform = R"(
  (local $at i32) (local $a i32) (local $b i32) (local $c i32) (local $operation i32)
  (local.set $at (local.get $request))
  (block $end (loop $next
    (br_if $end (i32.gt_u (i32.add (local.get $at) (i32.const 16)) (i32.add (local.get $request) (local.get $size))))
    (local.set $operation (i32.and (i32.load (local.get $at)) (i32.const 7)))
    (local.set $a (i32.load offset=4 (local.get $at)))
    (local.set $b (i32.load offset=8 (local.get $at)))
    (local.set $c (i32.load offset=12 (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.const 16)))
    (if (i32.eq (local.get $operation) (i32.const 0)) (then (call $log (local.get $a) (local.get $b))))
    (if (i32.eq (local.get $operation) (i32.const 1))
      (then (drop (call $get (local.get $a) (local.get $b) (local.get $c)))))
    (if (i32.eq (local.get $operation) (i32.const 2))
      (then (call $respond (local.get $out) (local.get $a) (local.get $b)) (return (i32.const 0))))
    (if (i32.eq (local.get $operation) (i32.const 3))
      (then (call $abort (local.get $a) (local.get $b) (local.get $c) (i32.const 0))))
    (if (i32.eq (local.get $operation) (i32.const 4))
      (then (drop (memory.grow (i32.and (local.get $a) (i32.const 63))))))
    (if (i32.eq (local.get $operation) (i32.const 5)) (then (global.set $next (local.get $a))))
    (if (i32.eq (local.get $operation) (i32.const 6)) (then (i32.store (local.get $a) (local.get $b))))
    (br $next)))
  (i32.const 0))";
constexpr std::string_view kImports = R"(
  (import "alga" "log_info" (func $log (param i32 i32)))
  (import "alga" "storage.get" (func $get (param i32 i32 i32) (result i32)))
  (import "env" "abort" (func $abort (param i32 i32 i32 i32))))";

class LongAnswers final : public HostCalls {
 public:
  std::optional<HostAnswer> start(Execution&, HostCallToken, std::string_view, std::string_view request) override {
    return HostAnswer{.response_json = std::string(request.size() % 5'000, 'x')};
  }
};

ExecutionResult run(const std::shared_ptr<const Module>& module, std::string request) {
  LongAnswers calls;
  protocol::Limits limits;
  limits.memory = 4_MiB;
  const auto execution = Execution::create(
      module, {.request = std::move(request), .limits = limits, .deadline = kClock.steady_now() + Millis(5'000)},
      calls);
  while ((*execution)->resume() == Progress::kYielded) {
  }
  return (*execution)->take_result();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto engine = Engine::create({.slots = 2}, kClock).value();
  static const auto module = testing::load_text(engine, testing::guest(kPerform, kImports));
  static const auto first_page = testing::load_text(
      engine, testing::guest("(call $respond (local.get $out) (i32.const 32768) (i32.const 32768)) (i32.const 0)"));
  const ExecutionResult result = run(module, std::string(reinterpret_cast<const char*>(data), size));
  if (!result.response && result.response.error().code == ErrorCode::kInternal) std::abort();
  if (run(first_page, "x").response.value() != std::string(32'768, '\0')) std::abort();
  return 0;
}
