// Coarse time-outs for many connections: one Asio timer per core instead of one per operation.
//
// A hashed wheel of 100 ms steps. Arming an entry that is armed already for an earlier or the same step only stores a
// number, so a time-out that is moved with every request costs nothing; the wheel finds out when it comes by. Entries
// fire up to one step late, never early. The timer only runs while something is armed.
//
// Owned by one core and used on its thread only (or before the core runs).
#pragma once

#include <array>
#include <boost/asio/basic_waitable_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/time.h"
#include "platform/async/task.h"

namespace bulkhead {

class TimerWheel {
  struct Link {
    Link* previous = this;
    Link* next = this;
  };

 public:
  static constexpr Millis kStep{100};

  // One time-out. Owned by whoever waits; leaves the wheel when destroyed. Must not outlive the wheel while armed.
  class Entry : private Link {
   public:
    explicit Entry(std::move_only_function<void()> expired) : expired_(std::move(expired)) {}
    ~Entry() { unlink(); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    friend class TimerWheel;
    void unlink();
    std::move_only_function<void()> expired_;
    std::int64_t due_ = kNever;  // step at which it fires
    std::int64_t linked_ = 0;    // step whose list it is in; ≤ due_ while linked
  };

  explicit TimerWheel(Executor executor);
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Calls the entry's function once `at` has passed; replaces an earlier arming.
  void arm(Entry& entry, SteadyTime at);
  void disarm(Entry& entry) { entry.due_ = kNever; }
  // Fires what is due at `now`. The wheel's own timer calls it; tests may, too.
  void advance(SteadyTime now);

 private:
  static constexpr std::int64_t kNever = INT64_MAX;
  static constexpr std::int64_t kSlots = 512;
  using Timer =
      asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

  std::int64_t step_of(SteadyTime time) const { return (time - origin_) / kStep; }
  void link(Entry& entry, std::int64_t step);
  // Fires what is due in the slot of `step` and keeps the rest.
  void visit(std::int64_t step);
  void schedule();

  SteadyTime origin_;
  std::int64_t visited_ = 0;  // the last step whose slot was looked at
  std::array<Link, kSlots> slots_;
  Timer timer_;
  bool ticking_ = false;
  std::size_t quiet_steps_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace bulkhead
