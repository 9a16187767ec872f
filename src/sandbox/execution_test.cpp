#include "sandbox/execution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "sandbox/test_guests.h"

namespace bulkhead::sandbox {
namespace {

using testing::guest;
using ::testing::HasSubstr;
using testing::kEcho;
using testing::load_text;

const SystemClock kClock;

// One engine for the whole program, as in a runner.
const std::shared_ptr<Engine>& engine() {
  static const std::shared_ptr<Engine> engine = Engine::create({.slots = 16}, kClock).value();
  return engine;
}

// Records calls, and answers those that the test gave an answer for at once.
class RecordedCalls final : public HostCalls {
 public:
  struct Call {
    HostCallToken token;
    std::string name;
    std::string request;
  };
  std::optional<HostAnswer> start(Execution&, HostCallToken token, std::string_view name,
                                  std::string_view request_json) override {
    calls.push_back({token, std::string(name), std::string(request_json)});
    if (answers.empty()) return std::nullopt;
    HostAnswer answer = std::move(answers.front());
    answers.pop_front();
    return answer;
  }
  std::deque<HostAnswer> answers;
  std::vector<Call> calls;
};

// Goes on past the ends of time slices, which may come at any moment.
Progress proceed(Execution& execution) {
  for (;;) {
    const Progress progress = execution.resume();
    if (progress != Progress::kYielded) return progress;
  }
}

class ExecutionTest : public ::testing::Test {
 protected:
  std::unique_ptr<Execution> start(const std::shared_ptr<const Module>& module, std::string request = "request") {
    return Execution::create(
               module,
               {.request = std::move(request), .limits = limits_, .deadline = kClock.steady_now() + limits_.timeout},
               calls_)
        .value();
  }
  ExecutionResult run(const std::shared_ptr<const Module>& module, std::string request = "request") {
    const auto execution = start(module, std::move(request));
    EXPECT_EQ(proceed(*execution), Progress::kDone);
    return execution->take_result();
  }
  ExecutionResult run_text(std::string_view text) { return run(load_text(engine(), text)); }

  void TearDown() override {
    // Whatever happened, the next call works and no slot is lost.
    EXPECT_EQ(run(load_text(engine(), guest(kEcho))).response.value_or("failed"), "request");
    EXPECT_EQ(engine()->live_executions(), 0u);
  }

  protocol::Limits limits_;
  RecordedCalls calls_;
};

TEST_F(ExecutionTest, AnswersWithTheGuestsBytesAndUsage) {
  const auto result = run(load_text(engine(), guest(kEcho)), "hello");
  ASSERT_TRUE(result.response) << result.response.error().to_log_string();
  EXPECT_EQ(*result.response, "hello");
  EXPECT_EQ(result.usage.memory_bytes, 65'536u);
  EXPECT_GT(result.usage.cpu_us, 0u);
  EXPECT_GE(result.usage.wall_us, result.usage.cpu_us);
  EXPECT_EQ(result.usage.fuel, std::nullopt);
  EXPECT_EQ(result.usage.host_calls, 0u);
}

TEST_F(ExecutionTest, AcceptsEmptyRequestsAndResponses) {
  EXPECT_EQ(run(load_text(engine(), guest("(i32.const 0)")), "").response.value(), "");
}

struct Ending {
  const char* name;
  std::string text;
  ErrorCode code;
  const char* message;
};

class EndingTest : public ExecutionTest, public ::testing::WithParamInterface<Ending> {};

TEST_P(EndingTest, IsReportedAndLeavesTheEngineUsable) {
  limits_.memory = 16_MiB;
  limits_.timeout = Millis(200);
  const auto result = run_text(GetParam().text);
  ASSERT_FALSE(result.response);
  EXPECT_EQ(result.response.error().wire_code(), error_info(GetParam().code).wire_code)
      << result.response.error().to_log_string();
  EXPECT_THAT(result.response.error().message, HasSubstr(GetParam().message));
}

// A guest whose alloc is the given body (parameter $n).
std::string with_alloc(std::string_view alloc) {
  return R"((module (memory (export "memory") 1)
    (func (export "alloc") (param $n i32) (result i32) )" +
         std::string(alloc) + R"()
    (func (export "handler") (param i32 i32 i32) (result i32) (i32.const 0))))";
}
std::string responds(const char* place, const char* size, const char* memory = "") {
  return guest(std::string(memory) + "(call $respond (local.get $out) (i32.const " + place + ") (i32.const " + size +
               ")) (i32.const 0)");
}

const char* const kImportGet = "(import \"alga\" \"storage.get\" (func $get (param i32 i32 i32) (result i32)))";
const char* const kImportLog = "(import \"alga\" \"log_info\" (func $log (param i32 i32)))";

INSTANTIATE_TEST_SUITE_P(
    , EndingTest,
    ::testing::Values(
        Ending{"Unreachable", guest("(unreachable)"), ErrorCode::kTrap, "unreachable"},
        Ending{"DivisionByZero", guest("(i32.div_u (local.get $size) (i32.const 0))"), ErrorCode::kTrap,
               "divide by zero"},
        Ending{"LoadOutsideMemory", guest("(i32.load (i32.const 0x7fffffff))"), ErrorCode::kTrap, "out of bounds"},
        Ending{"EndlessLoop", guest("(loop $l (br $l)) (unreachable)"), ErrorCode::kTimeout, "200 ms"},
        Ending{"EndlessLoopInStart", guest("(i32.const 0)", "(func $s (loop $l (br $l))) (start $s)"),
               ErrorCode::kTimeout, "200 ms"},
        Ending{"EndlessLoopInInitialize", guest("(i32.const 0)", "(func (export \"_initialize\") (loop $l (br $l)))"),
               ErrorCode::kTimeout, "200 ms"},
        Ending{"EndlessLoopInAlloc", with_alloc("(loop $l (br $l)) (i32.const 0)"), ErrorCode::kTimeout, "200 ms"},
        Ending{"TrapInStart", guest("(i32.const 0)", "(func $s (unreachable)) (start $s)"), ErrorCode::kTrap,
               "unreachable"},
        Ending{"EndlessRecursion", guest("(call $handler (local.get $request) (local.get $size) (local.get $out))"),
               ErrorCode::kTrap, "call stack exhausted"},
        Ending{"GrowsUntilRefusedThenTraps",
               guest("(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable)"),
               ErrorCode::kMemoryExceeded, "16 MiB"},
        Ending{"AllocatesBeyondItsMemory",
               guest("(drop (call $alloc (i32.const 0x4000000))) (i32.store (i32.sub "
                     "(global.get $next) (i32.const 8)) (i32.const 1)) (i32.const 0)"),
               ErrorCode::kMemoryExceeded, "16 MiB"},
        Ending{"StartsWithMoreThanItsLimit",
               R"((module (memory (export "memory") 512) (func (export "alloc") (param i32) (result i32) (i32.const 8))
                   (func (export "handler") (param i32 i32 i32) (result i32) (i32.const 0))))",
               ErrorCode::kMemoryExceeded, "16 MiB"},
        Ending{"AllocGivesNull", with_alloc("(i32.const 0)"), ErrorCode::kModuleInvalid, "alloc(7) gave 0"},
        Ending{"AllocGivesAPlaceOutside", with_alloc("(i32.const 65530)"), ErrorCode::kModuleInvalid, "alloc(7)"},
        Ending{"AllocGivesMinusOne", with_alloc("(i32.const -1)"), ErrorCode::kModuleInvalid, "alloc(7)"},
        Ending{"OnlyTheSecondAllocIsBad",
               with_alloc("(select (i32.const -4) (i32.const 16) (i32.eq (local.get $n) (i32.const 8)))"),
               ErrorCode::kModuleInvalid, "alloc(8)"},
        Ending{"ResponseOutsideMemory", responds("65536", "1"), ErrorCode::kModuleInvalid, "response at 65536"},
        Ending{"ResponseLengthOverflows32Bits", responds("16", "0xfffffff8"), ErrorCode::kModuleInvalid,
               "4294967288 bytes"},
        Ending{"ResponsePointerAndLengthAreAllOnes", responds("-1", "-1"), ErrorCode::kModuleInvalid, "outside"},
        Ending{"ResponseOver10MB", responds("0", "10000001", "(drop (memory.grow (i32.const 200)))"),
               ErrorCode::kResponseTooLarge, "10000001 bytes"},
        Ending{"HandlerReturnsANumber", guest("(i32.const 42)"), ErrorCode::kHandlerError, "error 42"},
        Ending{"HandlerReturnsANegativeNumber", guest("(i32.const -7)"), ErrorCode::kHandlerError, "error -7"},
        Ending{"LogsFromOutsideMemory", guest("(call $log (i32.const 65535) (i32.const 2)) (i32.const 0)", kImportLog),
               ErrorCode::kModuleInvalid, "log line"},
        Ending{"LogLengthOverflows32Bits", guest("(call $log (i32.const 16) (i32.const -8)) (i32.const 0)", kImportLog),
               ErrorCode::kModuleInvalid, "log line"},
        Ending{"AbortsWithAMessage",
               guest("(call $abort (i32.const 20) (i32.const 44) (i32.const 7) (i32.const 9)) (i32.const 0)",
                     R"((import "env" "abort" (func $abort (param i32 i32 i32 i32)))
                        (data (i32.const 16) "\08\00\00\00n\00o\00p\00e\00")
                        (data (i32.const 40) "\06\00\00\00a\00.\00t\00"))"),
               ErrorCode::kTrap, "aborted: nope (a.t:7:9)"},
        Ending{"AbortsWithPointersOutside",
               guest("(call $abort (i32.const -2) (i32.const 3) (i32.const 7) (i32.const 9)) (i32.const 0)",
                     R"((import "env" "abort" (func $abort (param i32 i32 i32 i32))))"),
               ErrorCode::kTrap, "aborted: abort"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(ExecutionTest, AnswersOf100MegabytesAreRefusedWithoutCopying) {
  const auto result = run_text(responds("0", "100000000", "(drop (memory.grow (i32.const 1600)))"));
  ASSERT_FALSE(result.response);
  EXPECT_EQ(result.response.error().code, ErrorCode::kResponseTooLarge);
  EXPECT_EQ(result.usage.memory_bytes, 1601u * 65'536u);
}

TEST_F(ExecutionTest, TheHandlersNumberIsKept) {
  EXPECT_EQ(run_text(guest("(i32.const 42)")).handler_error, 42);
  EXPECT_EQ(run_text(guest(kEcho)).handler_error, std::nullopt);
}

TEST_F(ExecutionTest, AGuestThatCopesWithRefusedMemorySucceeds) {
  limits_.memory = 1_MiB;
  const auto result = run_text(guest("(drop (memory.grow (i32.const 100))) " + std::string(kEcho)));
  EXPECT_EQ(result.response.value_or("failed"), "request");
  EXPECT_EQ(result.usage.memory_bytes, 65'536u);
}

TEST_F(ExecutionTest, ATrapNamesTheFunctionsOnTheStack) {
  const auto result = run_text(guest("(call $broken) (i32.const 0)", "(func $broken (unreachable))"));
  ASSERT_FALSE(result.response);
  EXPECT_THAT(result.response.error().detail, HasSubstr("0: broken\n1: handler"));
}

TEST_F(ExecutionTest, ALongRunYieldsAtEveryTickAndGoesOn) {
  // About 10^8 rounds: many ticks.
  const auto execution = start(load_text(engine(), guest(R"((local $i i32)
      (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 100000000)))) )" +
                                                         std::string(kEcho))));
  int yields = 0;
  while (execution->resume() == Progress::kYielded) ++yields;
  EXPECT_GT(yields, 3);
  const auto result = execution->take_result();
  EXPECT_EQ(result.response.value_or("failed"), "request");
  EXPECT_GT(result.usage.cpu_us, 3'000u);
}

TEST_F(ExecutionTest, RunsInterleaveOnOneThread) {
  const auto module = load_text(engine(), guest(R"((local $i i32)
      (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 30000000)))) )" +
                                                std::string(kEcho)));
  std::deque<std::unique_ptr<Execution>> queue;
  for (int i = 0; i < 8; ++i) queue.push_back(start(module, std::to_string(i)));
  std::vector<std::string> answers;
  while (!queue.empty()) {
    auto next = std::move(queue.front());
    queue.pop_front();
    if (next->resume() == Progress::kYielded) {
      queue.push_back(std::move(next));
    } else {
      answers.push_back(next->take_result().response.value_or("failed"));
    }
  }
  EXPECT_THAT(answers, ::testing::UnorderedElementsAre("0", "1", "2", "3", "4", "5", "6", "7"));
}

// Calls storage.get with the request and responds with what it got; a negative code becomes the handler's number.
const std::string kGetAndRespond = R"((local $code i32)
    (local.set $code (call $get (local.get $request) (local.get $size) (local.get $out)))
    (local.get $code))";

TEST_F(ExecutionTest, AHostCallSuspendsTheGuestUntilItIsCompleted) {
  const auto execution = start(load_text(engine(), guest(kGetAndRespond, kImportGet)), R"({"key":"a"})");
  ASSERT_EQ(proceed(*execution), Progress::kWaiting);
  ASSERT_EQ(proceed(*execution), Progress::kWaiting);
  ASSERT_EQ(calls_.calls.size(), 1u);
  EXPECT_EQ(calls_.calls[0].name, "storage.get");
  EXPECT_EQ(calls_.calls[0].request, R"({"key":"a"})");
  execution->complete_host_call(calls_.calls[0].token + 1, {.response_json = "wrong call"});
  ASSERT_EQ(proceed(*execution), Progress::kWaiting);
  execution->complete_host_call(calls_.calls[0].token, {.response_json = R"({"value":1})"});
  execution->complete_host_call(calls_.calls[0].token, {.response_json = "too late"});
  ASSERT_EQ(proceed(*execution), Progress::kDone);
  const auto result = execution->take_result();
  EXPECT_EQ(result.response.value_or("failed"), R"({"value":1})");
  EXPECT_EQ(result.usage.host_calls, 1u);
}

TEST_F(ExecutionTest, AnAnswerAtOnceNeedsNoSuspension) {
  calls_.answers.push_back({.response_json = R"({"tenant":"t"})"});
  const auto execution = start(load_text(engine(), guest(kGetAndRespond, kImportGet)));
  ASSERT_EQ(proceed(*execution), Progress::kDone);
  EXPECT_EQ(execution->take_result().response.value_or("failed"), R"({"tenant":"t"})");
}

TEST_F(ExecutionTest, ARefusalIsAnAnswer) {
  calls_.answers.push_back({.code = protocol::HostCode::kDenied});
  EXPECT_EQ(run_text(guest(kGetAndRespond, kImportGet)).handler_error, -1);
}

TEST_F(ExecutionTest, LargeAnswersGrowTheGuestsMemory) {
  calls_.answers.push_back({.response_json = std::string(3'000'000, 'x')});
  const auto result = run_text(guest(kGetAndRespond, kImportGet));
  EXPECT_EQ(result.response.value_or("failed"), std::string(3'000'000, 'x'));
  EXPECT_GT(result.usage.memory_bytes, 3'000'000u);
}

TEST_F(ExecutionTest, AnswersBeyondTheMemoryLimitAreTooLargeForTheGuest) {
  limits_.memory = 1_MiB;
  calls_.answers.push_back({.response_json = std::string(2'000'000, 'x')});
  EXPECT_EQ(run_text(guest(kGetAndRespond, kImportGet)).handler_error, -5);
}

TEST_F(ExecutionTest, BadPointersInAHostCallAreInvalidRequests) {
  const struct {
    const char* request;
    const char* size;
    const char* out;
    int code;
  } cases[] = {
      {"65536", "1", "8", -2}, {"65535", "2", "8", -2}, {"-1", "1", "8", -2}, {"8", "-1", "8", -2},
      {"-8", "-8", "8", -2},   {"8", "8", "65529", -2}, {"8", "8", "-8", -2}, {"0", "2097153", "8", -5},
  };
  for (const auto& bad : cases) {
    const auto result = run_text(guest("(drop (memory.grow (i32.const " + std::string(bad.code == -5 ? "40" : "0") +
                                           "))) (call $get (i32.const " + bad.request + ") (i32.const " + bad.size +
                                           ") (i32.const " + bad.out + "))",
                                       kImportGet));
    EXPECT_EQ(result.handler_error, bad.code) << bad.request << " " << bad.size << " " << bad.out;
  }
  EXPECT_TRUE(calls_.calls.empty());
}

TEST_F(ExecutionTest, HostCallsOverTheLimitAreAnsweredWithQuota) {
  limits_.host_calls = 3;
  for (int i = 0; i < 5; ++i) calls_.answers.push_back({});
  const auto result = run_text(guest(R"((local $n i32) (local $code i32)
      (loop $l
        (local.set $code (call $get (i32.const 0) (i32.const 0) (i32.const 8)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $l (i32.and (i32.eqz (local.get $code)) (i32.lt_u (local.get $n) (i32.const 5)))))
      (i32.sub (local.get $code) (i32.mul (local.get $n) (i32.const 100))))",
                                     kImportGet));
  EXPECT_EQ(result.handler_error, -408);
  EXPECT_EQ(result.usage.host_calls, 3u);
  EXPECT_EQ(calls_.calls.size(), 3u);
}

TEST_F(ExecutionTest, AllocMayNotMakeHostCalls) {
  // alloc calls storage.get and remembers its code at 512; the handler returns it.
  calls_.answers.push_back({.response_json = "{}"});
  const auto result = run_text(R"((module
      (import "alga" "storage_get" (func $get (param i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (global $armed (mut i32) (i32.const 0))
      (func (export "alloc") (param $n i32) (result i32)
        (if (global.get $armed)
          (then (i32.store (i32.const 512) (call $get (i32.const 0) (i32.const 0) (i32.const 8)))))
        (i32.const 1024))
      (func (export "handler") (param i32 i32 i32) (result i32)
        (global.set $armed (i32.const 1))
        (drop (call $get (i32.const 0) (i32.const 2) (i32.const 8)))
        (i32.load (i32.const 512)))))");
  EXPECT_EQ(result.handler_error, -2);
  EXPECT_EQ(calls_.calls.size(), 1u);
}

TEST_F(ExecutionTest, AnEndlessLoopInTheAllocOfAHostCallTimesOut) {
  limits_.timeout = Millis(100);
  calls_.answers.push_back({.response_json = "{}"});
  const auto result = run_text(R"((module
      (import "alga" "storage.get" (func $get (param i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (global $armed (mut i32) (i32.const 0))
      (func (export "alloc") (param $n i32) (result i32) (loop $l (br_if $l (global.get $armed))) (i32.const 1024))
      (func (export "handler") (param i32 i32 i32) (result i32)
        (global.set $armed (i32.const 1))
        (call $get (i32.const 0) (i32.const 2) (i32.const 8)))))");
  ASSERT_FALSE(result.response);
  EXPECT_EQ(result.response.error().code, ErrorCode::kTimeout);
}

TEST_F(ExecutionTest, CancelUnwindsAWaitingGuest) {
  const auto execution = start(load_text(engine(), guest(kGetAndRespond, kImportGet)));
  ASSERT_EQ(proceed(*execution), Progress::kWaiting);
  EXPECT_EQ(engine()->live_executions(), 1u);
  execution->cancel(fail(ErrorCode::kTimeout, "The host call took too long.").error());
  EXPECT_TRUE(execution->is_done());
  EXPECT_EQ(engine()->live_executions(), 0u);
  execution->complete_host_call(calls_.calls[0].token, {.response_json = "late"});
  const auto result = execution->take_result();
  ASSERT_FALSE(result.response);
  EXPECT_EQ(result.response.error().message, "The host call took too long.");
  EXPECT_EQ(result.usage.host_calls, 1u);
}

TEST_F(ExecutionTest, CancelBeforeTheFirstResumeAndAfterAYield) {
  const auto fresh = start(load_text(engine(), guest(kEcho)));
  fresh->cancel(fail(ErrorCode::kCancelled).error());
  EXPECT_EQ(fresh->take_result().response.error().code, ErrorCode::kCancelled);
  const auto running = start(load_text(engine(), guest("(loop $l (br $l)) (unreachable)")));
  ASSERT_EQ(running->resume(), Progress::kYielded);
  running->cancel(fail(ErrorCode::kCancelled).error());
  EXPECT_EQ(running->take_result().response.error().code, ErrorCode::kCancelled);
}

TEST_F(ExecutionTest, DestroyingASuspendedExecutionFreesItsSlot) {
  const auto module = load_text(engine(), guest(kGetAndRespond, kImportGet));
  for (int i = 0; i < 100; ++i) {
    const auto execution = start(module);
    ASSERT_EQ(proceed(*execution), Progress::kWaiting);
  }
}

TEST_F(ExecutionTest, MoreExecutionsThanSlotsAreRefusedAsOverload) {
  const auto module = load_text(engine(), guest(kGetAndRespond, kImportGet));
  std::vector<std::unique_ptr<Execution>> waiting;
  for (std::uint32_t i = 0; i < engine()->settings().slots; ++i) {
    waiting.push_back(start(module));
    ASSERT_EQ(proceed(*waiting.back()), Progress::kWaiting);
  }
  const auto result = run(module);
  ASSERT_FALSE(result.response);
  EXPECT_EQ(result.response.error().code, ErrorCode::kRunnerOverloaded);
}

TEST_F(ExecutionTest, ADeadlineThatHasPassedWhileWaitingIsATimeout) {
  limits_.timeout = Millis(0);
  const auto execution = start(load_text(engine(), guest(kEcho)));
  EXPECT_EQ(proceed(*execution), Progress::kDone);
  EXPECT_EQ(execution->take_result().response.error().code, ErrorCode::kTimeout);
  limits_.timeout = Millis(5'000);
}

TEST_F(ExecutionTest, LogsKeepLevelTextAndTime) {
  const UtcMicros before = kClock.now();
  const auto result =
      run_text(guest("(call $info (i32.const 16) (i32.const 2)) (call $warn (i32.const 18) "
                     "(i32.const 2)) (call $error (i32.const 20) (i32.const 3)) (i32.const 0)",
                     R"((import "alga" "log.info" (func $info (param i32 i32)))
                                        (import "alga" "log_warn" (func $warn (param i32 i32)))
                                        (import "alga" "log.error" (func $error (param i32 i32)))
                                        (data (i32.const 16) "hiyo\ffx!"))"));
  ASSERT_EQ(result.logs.size(), 3u);
  EXPECT_EQ(result.logs[0].text, "hi");
  EXPECT_EQ(result.logs[0].level, protocol::LogLine::Level::kInfo);
  EXPECT_EQ(result.logs[1].text, "yo");
  EXPECT_EQ(result.logs[1].level, protocol::LogLine::Level::kWarn);
  EXPECT_EQ(result.logs[2].text, "\xEF\xBF\xBDx!");  // made valid UTF-8
  EXPECT_EQ(result.logs[2].level, protocol::LogLine::Level::kError);
  EXPECT_GE(result.logs[0].at, before);
  EXPECT_FALSE(result.logs_truncated);
}

TEST_F(ExecutionTest, LogsAreCutAtTheirLimit) {
  const auto module =
      load_text(engine(), guest("(call $log (i32.const 0) (i32.const 40000)) (call $log (i32.const 0) "
                                "(i32.const 40000)) (call $log (i32.const 0) (i32.const 9)) (i32.const 0)",
                                kImportLog));
  const auto result = run(module);
  ASSERT_EQ(result.logs.size(), 2u);
  EXPECT_EQ(result.logs[0].text.size() + result.logs[1].text.size(), 65'536u);
  EXPECT_TRUE(result.logs_truncated);
}

TEST_F(ExecutionTest, EmptyLogLinesAreBoundedToo) {
  const auto result = run_text(guest(R"((local $i i32)
      (loop $l (call $log (i32.const 0) (i32.const 0)) (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 100000)))) (i32.const 0))",
                                     kImportLog));
  EXPECT_EQ(result.logs.size(), 1'024u);
  EXPECT_TRUE(result.logs_truncated);
}

TEST_F(ExecutionTest, LogsOfAFailedRunAreKept) {
  const auto result = run_text(guest("(call $log (i32.const 16) (i32.const 2)) (unreachable)",
                                     std::string(kImportLog) + "(data (i32.const 16) \"hi\")"));
  EXPECT_FALSE(result.response);
  ASSERT_EQ(result.logs.size(), 1u);
  EXPECT_EQ(result.logs[0].text, "hi");
}

TEST_F(ExecutionTest, StartAndInitializeRunBeforeTheHandler) {
  const auto result = run_text(guest(R"((call $respond (local.get $out) (i32.const 16) (i32.const 2)) (i32.const 0))",
                                     R"((func $s (i32.store8 (i32.const 16) (i32.const 65))) (start $s)
                                        (func (export "_initialize")
                                          (i32.store8 offset=1 (i32.const 16)
                                            (i32.add (i32.load8_u (i32.const 16)) (i32.const 1)))))"));
  EXPECT_EQ(result.response.value_or("failed"), "AB");
}

TEST_F(ExecutionTest, FuelNeedsAnEngineThatCountsIt) {
  limits_.fuel = 1'000;
  const auto execution = Execution::create(load_text(engine(), guest(kEcho)),
                                           {.request = "", .limits = limits_, .deadline = kClock.steady_now()}, calls_);
  ASSERT_FALSE(execution);
  EXPECT_EQ(execution.error().code, ErrorCode::kModuleInvalid);
  limits_.fuel = 0;
}

TEST_F(ExecutionTest, FuelIsCountedAndEnforced) {
  const auto metered = Engine::create({.slots = 2, .metering = Metering::kFuel}, kClock).value();
  EXPECT_NE(metered->fingerprint(), engine()->fingerprint());
  const auto module = load_text(metered, guest(kEcho));
  limits_.fuel = 1'000;
  const auto result = run(module);
  EXPECT_EQ(result.response.value_or("failed"), "request");
  ASSERT_TRUE(result.usage.fuel);
  EXPECT_GT(*result.usage.fuel, 10u);
  EXPECT_LT(*result.usage.fuel, 100u);
  const auto endless = run(load_text(metered, guest("(loop $l (br $l)) (unreachable)")));
  ASSERT_FALSE(endless.response);
  EXPECT_EQ(endless.response.error().message, "The extension used up its fuel of 1000.");
  EXPECT_EQ(endless.usage.fuel, 1'000u);
  limits_.fuel = 0;
  EXPECT_EQ(run(module).usage.fuel, std::nullopt);
}

// Fills its memory with the first byte of the request, after answering the question whether all of it was zero.
const std::string kCanary = guest(R"((local $at i32) (local $dirty i32)
    (drop (memory.grow (i32.const 2)))
    (local.set $at (i32.const 4096))
    (loop $l
      (local.set $dirty (i32.or (local.get $dirty) (i32.ne (i32.load8_u (local.get $at))
        (select (i32.const 90) (i32.const 0) (i32.eq (local.get $at) (i32.const 12288))))))
      (i32.store8 (local.get $at) (i32.load8_u (local.get $request)))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $l (i32.lt_u (local.get $at) (i32.const 196608))))
    (local.get $dirty))",
                                  "(data (i32.const 12288) \"Z\")");

TEST_F(ExecutionTest, MemoryOfOneRunIsNeverSeenByTheNext) {
  // Two modules, so that slots change hands; their data segment must come back, everything else must be zero.
  const std::shared_ptr<const Module> modules[] = {
      load_text(engine(), kCanary),
      load_text(engine(), kCanary.substr(0, kCanary.size() - 1) + "(func (export \"other\")))")};
  for (int i = 0; i < 100'000; ++i) {
    const auto result = run(modules[i % 3 == 0 ? 0 : 1], std::string(1, static_cast<char>('a' + i % 26)));
    ASSERT_EQ(result.handler_error, std::nullopt) << "run " << i << " saw the memory of another";
    ASSERT_TRUE(result.response) << result.response.error().to_log_string();
  }
}

TEST_F(ExecutionTest, MemoryIsCleanAfterTrapsAndCancels) {
  const auto module = load_text(engine(), kCanary);
  const auto trapping = load_text(engine(), guest("(drop (memory.grow (i32.const 3))) (memory.fill (i32.const 4096) "
                                                  "(i32.const 255) (i32.const 258048)) (unreachable)"));
  const auto waiting = load_text(engine(), guest("(memory.fill (i32.const 4096) (i32.const 255) (i32.const 61440)) "
                                                 "(call $get (i32.const 0) (i32.const 0) (i32.const 8))",
                                                 kImportGet));
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_EQ(run(trapping).response.error().code, ErrorCode::kTrap);
    const auto execution = start(waiting);
    ASSERT_EQ(proceed(*execution), Progress::kWaiting);
    execution->cancel(fail(ErrorCode::kCancelled).error());
    ASSERT_EQ(run(module, "q").handler_error, std::nullopt);
  }
}

}  // namespace
}  // namespace bulkhead::sandbox
