// CircuitBreaker: stops calls to something that keeps failing, and finds out by itself when it is well again.
//
//   closed ──(failure ratio over the rolling window)──▶ open ──(open time over)──▶ half-open ──(probes good)──▶ closed
//                                                        ▲───────(a probe fails: twice the open time)──┘
//
//   const auto admission = breaker.admit();
//   if (!admission.allowed) return fail(…retry after admission.retry_after…);
//   … the call …
//   breaker.record(admission.ticket, CircuitBreaker::Outcome::kFailure);
//
// The window only counts calls that were admitted in the present state: a slow call that began before the breaker
// opened can neither close it nor keep it open. A ticket that never comes back costs nothing while closed; a lost probe
// is given up after `probe_time`. Open times are jittered, so that the breakers of many nodes don't probe in step.
//
// A plain value of about 200 bytes without lock or timer: the owner keeps it on one thread or behind its own mutex.
// `clock` and `random` outlive it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/random.h"
#include "base/time.h"

namespace bulkhead::guard {

struct CircuitBreakerOptions {
  Millis window{10'000};           // what is older does not count
  std::uint32_t min_samples = 10;  // fewer outcomes in the window never open it
  double failure_ratio = 0.5;      // (0, 1]; opens at or above
  Millis open_time{5'000};         // the first time; doubles with every failed probe
  Millis max_open_time{60'000};
  double jitter = 0.2;       // open times are spread over ±20 %
  std::uint32_t probes = 1;  // calls admitted while half-open; all must succeed
  Millis probe_time{30'000};
};

class CircuitBreaker {
 public:
  enum class State : std::uint8_t { kClosed, kOpen, kHalfOpen };
  enum class Outcome : std::uint8_t {
    kSuccess,
    kFailure,
    kUnknown,  // says nothing about the target: the caller gave up, or it was our own fault
  };
  // What `record` needs to know about an admitted call.
  struct Ticket {
    std::uint32_t generation = 0;
  };
  struct Admission {
    bool allowed = false;
    bool probe = false;     // decides whether the breaker closes
    Millis retry_after{0};  // > 0 when refused
    Ticket ticket;
  };

  CircuitBreaker(const CircuitBreakerOptions& options, const Clock& clock, Random& random);

  Admission admit();
  // Once for each admitted call. True when this outcome opened the breaker.
  bool record(Ticket ticket, Outcome outcome);
  // Closed, with an empty window (an admin's release).
  void reset();

  // As of the last call: an open breaker becomes half-open when somebody asks for admission.
  State state() const { return state_; }
  // Nothing would be lost by forgetting it: closed, and no failure in the window.
  bool is_quiet() const;

 private:
  static constexpr std::size_t kSlices = 10;
  struct Slice {
    std::int64_t number = -1;  // which slice of time it counts
    std::uint32_t successes = 0;
    std::uint32_t failures = 0;
  };
  struct Counts {
    std::uint64_t successes = 0;
    std::uint64_t failures = 0;
  };
  std::int64_t slice_number() const;
  Counts counts() const;
  void count(Outcome outcome);
  void enter(State state);
  void open();
  Admission admit_probe();

  CircuitBreakerOptions options_;
  const Clock& clock_;
  Random& random_;
  State state_ = State::kClosed;
  std::uint32_t generation_ = 1;  // of the present state; tickets of an older one don't count
  std::uint32_t failed_probes_ = 0;
  std::uint32_t probes_out_ = 0;
  std::uint32_t probes_good_ = 0;
  SteadyTime until_{};  // open: when a probe may go; half-open: when probes count as lost
  std::array<Slice, kSlices> slices_{};
};

std::string_view to_string(CircuitBreaker::State state);  // "closed", "open", "half_open"

}  // namespace bulkhead::guard
