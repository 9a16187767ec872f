#include "features/guard/circuit_breaker.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace bulkhead::guard {
namespace {

using Outcome = CircuitBreaker::Outcome;
using State = CircuitBreaker::State;

constexpr CircuitBreakerOptions kExact{.window = Millis(10'000),
                                       .min_samples = 4,
                                       .failure_ratio = 0.5,
                                       .open_time = Millis(1'000),
                                       .max_open_time = Millis(4'000),
                                       .jitter = 0};

class CircuitBreakerTest : public testing::Test {
 protected:
  CircuitBreaker make(CircuitBreakerOptions options = kExact) { return {options, clock_, random_}; }
  // One call; false when it was refused.
  static bool call(CircuitBreaker& breaker, Outcome outcome) {
    const auto admission = breaker.admit();
    if (admission.allowed) breaker.record(admission.ticket, outcome);
    return admission.allowed;
  }
  static void trip(CircuitBreaker& breaker) {
    while (breaker.state() == State::kClosed) call(breaker, Outcome::kFailure);
  }
  ManualClock clock_;
  SeededRandom random_{7};
};

// One letter a step: g = a call that goes well, f = one that fails, u = one whose outcome says nothing, r = a call that
// is refused, 1 = a second passes. After the colon: the state at the end.
struct Story {
  const char* name;
  const char* steps;
  State end;
};

TEST_F(CircuitBreakerTest, MovesAsItsTableSays) {
  const std::vector<Story> stories = {
      {"good calls", "gggggggggg", State::kClosed},
      {"too few samples", "fff", State::kClosed},
      {"enough failures", "ffff", State::kOpen},
      {"at the ratio", "ggff", State::kOpen},
      {"below the ratio", "gggff", State::kClosed},
      {"a good call never opens", "fffg", State::kClosed},
      {"the failure after it does", "fffgf", State::kOpen},
      {"unknown outcomes don't count", "uuuuufff", State::kClosed},
      {"old failures are forgotten", "fff11111111111f", State::kClosed},
      {"recent ones are not", "fff111f", State::kOpen},
      {"open refuses", "ffffrrr", State::kOpen},
      {"a good probe closes", "ffffr1g", State::kClosed},
      {"closed begins with an empty window", "ffff1gfff", State::kClosed},
      {"and opens again", "ffff1gffff", State::kOpen},
      {"a bad probe opens for twice the time", "ffff1fr1r1g", State::kClosed},
      {"and four times", "ffff1f11fr1r1r1r1g", State::kClosed},
      {"and no longer than the maximum", "ffff1f11f1111fr1r1r1r1g", State::kClosed},
      {"a good probe resets the time", "ffff1f11gffffr1g", State::kClosed},
      {"a probe that says nothing lets the next one go", "ffff1ug", State::kClosed},
  };
  for (const auto& [name, steps, end] : stories) {
    auto breaker = make();
    for (std::string_view rest = steps; !rest.empty(); rest.remove_prefix(1)) {
      const char step = rest.front();
      if (step == '1') {
        clock_.advance(Millis(1'000));
        continue;
      }
      const auto outcome = step == 'g' ? Outcome::kSuccess : step == 'u' ? Outcome::kUnknown : Outcome::kFailure;
      EXPECT_EQ(call(breaker, outcome), step != 'r') << name << ", with \"" << rest << "\" to come";
    }
    EXPECT_EQ(breaker.state(), end) << name << ": " << to_string(breaker.state());
  }
}

TEST_F(CircuitBreakerTest, SaysWhenToComeBack) {
  auto breaker = make();
  trip(breaker);
  clock_.advance(Micros(400'500));
  EXPECT_EQ(breaker.admit().retry_after, Millis(600));
  clock_.advance(Micros(599'400));
  EXPECT_EQ(breaker.admit().retry_after, Millis(1));
  clock_.advance(Micros(100));
  EXPECT_TRUE(breaker.admit().probe);
}

TEST_F(CircuitBreakerTest, LetsOnlyTheProbesThroughWhileHalfOpen) {
  auto options = kExact;
  options.probes = 2;
  auto breaker = make(options);
  trip(breaker);
  clock_.advance(Millis(1'000));
  const auto first = breaker.admit();
  const auto second = breaker.admit();
  EXPECT_TRUE(first.allowed && first.probe && second.allowed && second.probe);
  EXPECT_FALSE(breaker.admit().allowed);
  EXPECT_GT(breaker.admit().retry_after, Millis(0));
  breaker.record(first.ticket, Outcome::kSuccess);
  EXPECT_EQ(breaker.state(), State::kHalfOpen);
  EXPECT_FALSE(breaker.admit().allowed);
  breaker.record(second.ticket, Outcome::kSuccess);
  EXPECT_EQ(breaker.state(), State::kClosed);
}

TEST_F(CircuitBreakerTest, OutcomesOfCallsFromBeforeDontCount) {
  auto breaker = make();
  const auto slow = breaker.admit();
  trip(breaker);
  EXPECT_FALSE(breaker.record(slow.ticket, Outcome::kFailure));
  clock_.advance(Millis(1'000));
  const auto probe = breaker.admit();
  EXPECT_FALSE(breaker.record(slow.ticket, Outcome::kSuccess));
  EXPECT_EQ(breaker.state(), State::kHalfOpen);
  EXPECT_TRUE(breaker.record(probe.ticket, Outcome::kFailure));
  EXPECT_FALSE(breaker.record(probe.ticket, Outcome::kSuccess));
  EXPECT_EQ(breaker.state(), State::kOpen);
}

TEST_F(CircuitBreakerTest, ALostProbeDoesNotKeepItHalfOpenForEver) {
  auto breaker = make();
  trip(breaker);
  clock_.advance(Millis(1'000));
  const auto lost = breaker.admit();
  ASSERT_TRUE(lost.probe);
  clock_.advance(kExact.probe_time - Millis(1));
  EXPECT_FALSE(breaker.admit().allowed);
  clock_.advance(Millis(1));
  const auto next = breaker.admit();
  ASSERT_TRUE(next.probe);
  breaker.record(lost.ticket, Outcome::kFailure);
  EXPECT_EQ(breaker.state(), State::kHalfOpen);
  breaker.record(next.ticket, Outcome::kSuccess);
  EXPECT_EQ(breaker.state(), State::kClosed);
}

TEST_F(CircuitBreakerTest, SpreadsOpenTimes) {
  auto options = kExact;
  options.jitter = 0.2;
  std::set<std::int64_t> times;
  for (int i = 0; i < 100; ++i) {
    auto breaker = make(options);
    trip(breaker);
    const auto time = breaker.admit().retry_after;
    EXPECT_GE(time, Millis(800));
    EXPECT_LE(time, Millis(1'200));
    times.insert(time.count());
  }
  EXPECT_GT(times.size(), 50U);
}

TEST_F(CircuitBreakerTest, SaysWhenItMayBeForgotten) {
  auto breaker = make();
  call(breaker, Outcome::kSuccess);
  EXPECT_TRUE(breaker.is_quiet());
  call(breaker, Outcome::kFailure);
  EXPECT_FALSE(breaker.is_quiet());
  clock_.advance(Millis(11'000));
  EXPECT_TRUE(breaker.is_quiet());
  trip(breaker);
  clock_.advance(Millis(60'000));
  EXPECT_FALSE(breaker.is_quiet());
  breaker.reset();
  EXPECT_TRUE(breaker.is_quiet());
  EXPECT_TRUE(breaker.admit().allowed);
}

}  // namespace
}  // namespace bulkhead::guard
