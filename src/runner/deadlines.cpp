#include "runner/deadlines.h"

namespace bulkhead::runner {

void Deadlines::set(Waiter& waiter, SteadyTime deadline) {
  clear(waiter);
  waiter.entry_ = waiting_.emplace(deadline, &waiter);
  if (!armed_ || deadline < *armed_) arm();
}

void Deadlines::clear(Waiter& waiter) {
  if (!waiter.entry_) return;
  waiting_.erase(*waiter.entry_);
  waiter.entry_.reset();
  // The timer stays as it is: firing once for nothing is cheaper than setting it anew for every call.
}

void Deadlines::arm() {
  if (waiting_.empty()) {
    armed_.reset();
    return;
  }
  armed_ = waiting_.begin()->first;
  timer_.expires_at(*armed_);
  timer_.async_wait([this](const boost::system::error_code& failure) {
    if (!failure) fire();
  });
}

void Deadlines::fire() {
  const SteadyTime now = std::chrono::steady_clock::now();
  while (!waiting_.empty() && waiting_.begin()->first <= now) {
    Waiter* waiter = waiting_.begin()->second;
    waiting_.erase(waiting_.begin());
    waiter->entry_.reset();
    waiter->on_deadline();
  }
  arm();
  fired_();
}

}  // namespace bulkhead::runner
