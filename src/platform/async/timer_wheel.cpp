#include "platform/async/timer_wheel.h"

#include <algorithm>

namespace bulkhead {

void TimerWheel::Entry::unlink() {
  previous->next = next;
  next->previous = previous;
  previous = next = this;
}

TimerWheel::TimerWheel(Executor executor) : origin_(std::chrono::steady_clock::now()), timer_(std::move(executor)) {}

TimerWheel::~TimerWheel() {
  *alive_ = false;
  for (Link& slot : slots_) {
    while (slot.next != &slot) static_cast<Entry*>(slot.next)->unlink();
  }
}

void TimerWheel::link(Entry& entry, std::int64_t step) {
  Link& head = slots_[static_cast<std::size_t>(step % kSlots)];
  entry.linked_ = step;
  entry.previous = head.previous;
  entry.next = &head;
  head.previous->next = &entry;
  head.previous = &entry;
}

void TimerWheel::arm(Entry& entry, SteadyTime at) {
  // The step after the one that `at` lies in: never early.
  entry.due_ = std::max(step_of(at) + 1, visited_ + 1);
  const bool linked = entry.next != &entry;
  if (linked && entry.linked_ <= entry.due_) return;
  if (linked) entry.unlink();
  link(entry, entry.due_);
  if (!ticking_) schedule();
}

void TimerWheel::visit(std::int64_t step) {
  Link& slot = slots_[static_cast<std::size_t>(step % kSlots)];
  if (slot.next == &slot) return;
  quiet_steps_ = 0;
  // A function that fires may arm, disarm or destroy any entry: take one at a time off a list of our own.
  Link due;
  due.next = slot.next;
  due.previous = slot.previous;
  due.next->previous = due.previous->next = &due;
  slot.next = slot.previous = &slot;
  while (due.next != &due) {
    auto& entry = *static_cast<Entry*>(due.next);
    entry.unlink();
    if (entry.due_ == kNever) continue;
    if (entry.due_ > step) {
      link(entry, entry.due_);
      continue;
    }
    entry.due_ = kNever;
    entry.expired_();
  }
}

void TimerWheel::advance(SteadyTime now) {
  const std::int64_t target = step_of(now);
  // After a long pause every slot is looked at once, as of now.
  if (target - visited_ > kSlots) visited_ = target - kSlots;
  while (visited_ < target) {
    ++visited_;
    ++quiet_steps_;
    visit(visited_);
  }
}

void TimerWheel::schedule() {
  ticking_ = true;
  timer_.expires_at(origin_ + (step_of(std::chrono::steady_clock::now()) + 1) * kStep);
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& failure) {
    if (failure || !*alive) return;
    advance(std::chrono::steady_clock::now());
    // A whole round without an entry: the wheel is empty.
    if (quiet_steps_ > static_cast<std::size_t>(kSlots)) {
      ticking_ = false;
      return;
    }
    schedule();
  });
}

}  // namespace bulkhead
