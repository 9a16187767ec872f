#include "features/guard/circuit_breaker.h"

#include <algorithm>

#include "base/error.h"

namespace bulkhead::guard {

CircuitBreaker::CircuitBreaker(const CircuitBreakerOptions& options, const Clock& clock, Random& random)
    : options_(options), clock_(clock), random_(random) {
  BH_ASSERT(options.window.count() >= static_cast<std::int64_t>(kSlices) && options.open_time.count() > 0);
  BH_ASSERT(options.failure_ratio > 0 && options.failure_ratio <= 1 && options.probes > 0);
  BH_ASSERT(options.jitter >= 0 && options.jitter < 1);
}

CircuitBreaker::Admission CircuitBreaker::admit() {
  if (state_ == State::kClosed) return {.allowed = true, .ticket = {generation_}};
  const SteadyTime now = clock_.steady_now();
  if (now >= until_) {
    // Half-open for the first time, or again because probes were lost.
    enter(State::kHalfOpen);
    until_ = now + options_.probe_time;
  }
  if (state_ == State::kHalfOpen) return admit_probe();
  const auto left = std::chrono::ceil<Millis>(until_ - now);
  return {.retry_after = std::max(left, Millis(1)), .ticket = {}};
}

CircuitBreaker::Admission CircuitBreaker::admit_probe() {
  if (probes_out_ + probes_good_ < options_.probes) {
    ++probes_out_;
    return {.allowed = true, .probe = true, .ticket = {generation_}};
  }
  // The probes on their way decide; nobody knows when.
  return {.retry_after = options_.open_time, .ticket = {}};
}

bool CircuitBreaker::record(Ticket ticket, Outcome outcome) {
  if (ticket.generation != generation_ || state_ == State::kOpen) return false;
  if (state_ == State::kHalfOpen) {
    if (probes_out_ == 0) return false;
    --probes_out_;
    if (outcome == Outcome::kFailure) {
      ++failed_probes_;
      open();
      return true;
    }
    if (outcome == Outcome::kSuccess && ++probes_good_ >= options_.probes) {
      failed_probes_ = 0;
      enter(State::kClosed);
    }
    return false;
  }
  if (outcome == Outcome::kUnknown) return false;
  count(outcome);
  if (outcome == Outcome::kSuccess) return false;
  const auto [successes, failures] = counts();
  const auto samples = successes + failures;
  if (samples < options_.min_samples) return false;
  if (static_cast<double>(failures) < options_.failure_ratio * static_cast<double>(samples)) return false;
  open();
  return true;
}

void CircuitBreaker::reset() {
  failed_probes_ = 0;
  enter(State::kClosed);
}

bool CircuitBreaker::is_quiet() const { return state_ == State::kClosed && counts().failures == 0; }

std::int64_t CircuitBreaker::slice_number() const {
  return clock_.steady_now().time_since_epoch() / (std::chrono::nanoseconds(options_.window) / std::int64_t{kSlices});
}

CircuitBreaker::Counts CircuitBreaker::counts() const {
  const auto oldest = slice_number() - static_cast<std::int64_t>(kSlices) + 1;
  Counts sum;
  for (const Slice& slice : slices_) {
    if (slice.number < oldest) continue;
    sum.successes += slice.successes;
    sum.failures += slice.failures;
  }
  return sum;
}

void CircuitBreaker::count(Outcome outcome) {
  const auto number = slice_number();
  Slice& slice = slices_.at(static_cast<std::size_t>(number) % kSlices);
  if (slice.number != number) slice = {.number = number};
  ++(outcome == Outcome::kSuccess ? slice.successes : slice.failures);
}

void CircuitBreaker::enter(State state) {
  state_ = state;
  ++generation_;
  probes_out_ = 0;
  probes_good_ = 0;
  slices_ = {};
}

void CircuitBreaker::open() {
  enter(State::kOpen);
  // 2^20 × a millisecond is past any sensible maximum already.
  const auto base =
      std::min(Millis(options_.open_time.count() << std::min(failed_probes_, 20U)), options_.max_open_time);
  constexpr std::uint64_t kSteps = 1 << 20;
  const double spread = 2.0 * static_cast<double>(random_.below(kSteps + 1)) / static_cast<double>(kSteps) - 1.0;
  const auto time = std::chrono::duration<double, std::milli>(base) * (1.0 + options_.jitter * spread);
  until_ = clock_.steady_now() + std::chrono::ceil<Millis>(time);
}

std::string_view to_string(CircuitBreaker::State state) {
  switch (state) {
    case CircuitBreaker::State::kClosed:
      return "closed";
    case CircuitBreaker::State::kOpen:
      return "open";
    case CircuitBreaker::State::kHalfOpen:
      return "half_open";
  }
  return "closed";
}

}  // namespace bulkhead::guard
