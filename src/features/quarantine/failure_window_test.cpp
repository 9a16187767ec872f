#include "features/quarantine/failure_window.h"

#include <gtest/gtest.h>

#include "features/quarantine/call_signs.h"

namespace bulkhead::quarantine {
namespace {

using invocations::Outcome;

class FailureWindowTest : public testing::Test {
 protected:
  void calls(int number, const CallSigns& signs) {
    for (int i = 0; i < number; ++i) window_.count(signs, clock_.steady_now(), thresholds_);
  }
  std::optional<FailureWindow::Verdict> verdict() { return window_.verdict(clock_.steady_now(), thresholds_); }

  ManualClock clock_;
  Thresholds thresholds_{
      .window = Millis(60'000), .traps = 5, .out_of_memory = 4, .policy_violations = 10, .share = 10};
  FailureWindow window_;
  const CallSigns good_{};
  const CallSigns trap_{.trapped = true};
  const CallSigns oom_{.out_of_memory = true};
};

TEST_F(FailureWindowTest, NamesTheReasonOnceThereAreEnough) {
  calls(4, trap_);
  EXPECT_FALSE(verdict());
  calls(1, trap_);
  ASSERT_TRUE(verdict());
  EXPECT_EQ(verdict()->reason, Reason::kTraps);
  EXPECT_EQ(verdict()->message, "5 of its last 5 calls crashed within 60 seconds.");
  window_.reset();
  calls(4, oom_);
  EXPECT_EQ(verdict()->reason, Reason::kOutOfMemory);
  window_.reset();
  calls(1, {.violations = 9});
  EXPECT_FALSE(verdict());
  calls(1, {.violations = 1});
  EXPECT_EQ(verdict()->reason, Reason::kPolicyViolations);
}

TEST_F(FailureWindowTest, SparesABusyExtensionThatSeldomFails) {
  calls(1'000, good_);
  calls(99, trap_);
  EXPECT_FALSE(verdict()) << "99 of 1,099 are less than 10 %";
  calls(30, trap_);
  EXPECT_TRUE(verdict());
}

TEST_F(FailureWindowTest, ForgetsWhatIsOlderThanTheWindow) {
  calls(4, trap_);
  clock_.advance(std::chrono::seconds(61));
  calls(4, trap_);
  EXPECT_FALSE(verdict());
  EXPECT_FALSE(window_.is_quiet(clock_.steady_now(), thresholds_));
  clock_.advance(std::chrono::seconds(61));
  EXPECT_TRUE(window_.is_quiet(clock_.steady_now(), thresholds_));
}

TEST_F(FailureWindowTest, CanBeSwitchedOff) {
  thresholds_.enabled = false;
  calls(100, trap_);
  EXPECT_FALSE(verdict());
}

Outcome ran(std::expected<protocol::ExecuteResponse, runners::DispatchFailure> answer) {
  return Outcome{
      .id = {}, .started_at = {}, .ended_at = {}, .answer = std::move(answer), .fate = invocations::Fate::kRan};
}

Outcome answered(ErrorCode code) {
  protocol::ExecuteResponse response;
  response.error = fail(code).error();
  return ran(std::move(response));
}

// Each way a call can end, told apart; and what of it the extension answers for.
TEST(CallSigns, TellEndingsApart) {
  using Breaker = guard::CircuitBreaker::Outcome;
  const struct {
    ErrorCode code;
    std::string_view ending;
    bool counts;  // towards quarantine
    Breaker breaker;
  } cases[] = {
      {ErrorCode::kHandlerError, "handler_error", false, Breaker::kSuccess},
      {ErrorCode::kTrap, "trap", true, Breaker::kFailure},
      {ErrorCode::kTimeout, "timeout", false, Breaker::kFailure},
      {ErrorCode::kMemoryExceeded, "out_of_memory", true, Breaker::kFailure},
      {ErrorCode::kCapabilityDenied, "policy_denied", false, Breaker::kSuccess},
      {ErrorCode::kQuotaExceeded, "policy_denied", false, Breaker::kSuccess},
      {ErrorCode::kModuleInvalid, "bad_module", false, Breaker::kFailure},
      {ErrorCode::kResponseTooLarge, "bad_module", false, Breaker::kFailure},
      {ErrorCode::kBundleFetchFailed, "not_its_fault", false, Breaker::kUnknown},
      {ErrorCode::kConcurrencyExceeded, "not_its_fault", false, Breaker::kUnknown},
      {ErrorCode::kRunnerOverloaded, "not_its_fault", false, Breaker::kUnknown},
      {ErrorCode::kCancelled, "not_its_fault", false, Breaker::kUnknown},
  };
  for (const auto& one : cases) {
    const Outcome outcome = answered(one.code);
    EXPECT_EQ(to_string(ending_of(outcome)), one.ending);
    const CallSigns signs = signs_of(outcome);
    EXPECT_EQ(signs.trapped || signs.out_of_memory, one.counts) << one.ending;
    EXPECT_EQ(breaker_outcome_of(outcome), one.breaker) << one.ending;
  }
}

TEST(CallSigns, BlameNobodyForALostRunner) {
  const Outcome lost =
      ran(std::unexpected(runners::DispatchFailure{fail(ErrorCode::kRunnerUnavailable).error(), true}));
  EXPECT_EQ(ending_of(lost), Ending::kNotItsFault);
}

TEST(CallSigns, CountWhatTheBrokerRefused) {
  Outcome outcome = ran(protocol::ExecuteResponse{});
  outcome.answer->usage.denied_host_calls = 3;
  EXPECT_EQ(ending_of(outcome), Ending::kOk);
  EXPECT_EQ(signs_of(outcome).violations, 3U);
}

}  // namespace
}  // namespace bulkhead::quarantine
