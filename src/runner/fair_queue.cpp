#include "runner/fair_queue.h"

#include <algorithm>

namespace bulkhead::runner {

void FairQueue::push(Flow& flow, ReadyHook& item) {
  flow.ready_.push_back(item);
  if (flow.FlowHook::is_linked()) return;
  // Idle time earns nothing beyond the one quantum, and what was overdrawn is still owed.
  flow.credit_us_ = std::min<std::int64_t>(flow.credit_us_, 0) + quantum_us_;
  fresh_.push_back(flow);
}

void FairQueue::remove(Flow& flow, ReadyHook& item) { flow.ready_.erase(Flow::ReadyList::s_iterator_to(item)); }

ReadyHook* FairQueue::pop() {
  while (!fresh_.empty() || !busy_.empty()) {
    const bool fresh = !fresh_.empty();
    auto& flow = static_cast<Flow&>(fresh ? fresh_.front() : busy_.front());
    if (flow.ready_.empty()) {
      // One that could come and go would always be fresh: it leaves only after a round of the others.
      if (fresh && !busy_.empty()) {
        move(flow, busy_);
      } else {
        flow.FlowHook::unlink();
      }
      continue;
    }
    if (flow.credit_us_ <= 0) {
      flow.credit_us_ += quantum_us_;
      move(flow, busy_);
      continue;
    }
    ReadyHook& item = flow.ready_.front();
    flow.ready_.pop_front();
    return &item;
  }
  return nullptr;
}

// Even a run too short to measure counts, so that no flow can hold the front for ever.
void FairQueue::charge(Flow& flow, Micros used) { flow.credit_us_ -= std::max<std::int64_t>(used.count(), 1); }

bool FairQueue::empty() const {
  const auto has_ready = [](const FlowHook& hook) { return static_cast<const Flow&>(hook).has_ready(); };
  return std::ranges::none_of(fresh_, has_ready) && std::ranges::none_of(busy_, has_ready);
}

void FairQueue::move(Flow& flow, Ring& to) {
  flow.FlowHook::unlink();
  to.push_back(flow);
}

}  // namespace bulkhead::runner
