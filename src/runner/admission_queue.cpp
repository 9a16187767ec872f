#include "runner/admission_queue.h"

#include <algorithm>

namespace bulkhead::runner {
namespace {

// What a claimant can owe at most: a second of a call that nobody foresaw is not held against it for minutes.
constexpr std::int64_t kMostRounds = 64;

}  // namespace

void AdmissionQueue::wait(Claimant& claimant) {
  if (claimant.is_linked()) return;
  // As in FairQueue: time without calls earns nothing, debts stay.
  claimant.credit_us_ = std::min<std::int64_t>(claimant.credit_us_, 0) + quantum_us_;
  ring_.push_back(claimant);
}

void AdmissionQueue::withdraw(Claimant& claimant) {
  if (claimant.is_linked()) claimant.unlink();
}

Claimant* AdmissionQueue::next() {
  if (ring_.empty()) return nullptr;
  while (ring_.front().credit_us_ <= 0) {
    Claimant& claimant = ring_.front();
    claimant.credit_us_ += quantum_us_;
    claimant.unlink();
    ring_.push_back(claimant);
  }
  return &ring_.front();
}

std::int64_t AdmissionQueue::admit(Claimant& claimant) {
  const std::int64_t charged = std::max<std::int64_t>(claimant.usual_us_, 1);
  claimant.credit_us_ = std::max(claimant.credit_us_ - charged, -kMostRounds * quantum_us_);
  return charged;
}

void AdmissionQueue::settle(Claimant& claimant, std::int64_t charged_us, Micros cost) {
  claimant.usual_us_ += (cost.count() - claimant.usual_us_) / 4;
  claimant.credit_us_ = std::clamp(claimant.credit_us_ + charged_us - cost.count(), -kMostRounds * quantum_us_,
                                   kMostRounds * quantum_us_);
}

void WaitEstimate::begin(SteadyTime now) {
  last_ = now;
  contended_ = true;
  interval_us_ = 0;
}

void WaitEstimate::moved(SteadyTime now, std::size_t waiting) {
  if (contended_) {
    const std::int64_t took = std::chrono::duration_cast<Micros>(now - last_).count();
    interval_us_ = interval_us_ == 0 ? took : interval_us_ + (took - interval_us_) / 8;
  }
  last_ = now;
  contended_ = waiting > 0;
  if (!contended_) interval_us_ = 0;
}

Micros WaitEstimate::for_position(std::size_t position, SteadyTime now) const {
  if (!contended_ || position == 0) return Micros(0);
  const std::int64_t stuck = std::chrono::duration_cast<Micros>(now - last_).count();
  // The first one waits at least as much longer as its predecessor has already waited for nothing.
  return Micros(std::max(interval_us_ * static_cast<std::int64_t>(position), stuck));
}

}  // namespace bulkhead::runner
