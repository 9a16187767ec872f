// Deadlines: when to give up on what waits (a host call, a module, a place in a queue). One timer for all of them, set
// for the earliest; most are met, so the timer is rarely touched. A running guest checks its own deadline at every tick
// and needs no entry here.
//
// Owner: Runner; one thread. Must not be destroyed while its io_context still runs handlers.
#pragma once

#include <boost/asio/basic_waitable_timer.hpp>
#include <functional>
#include <map>
#include <optional>

#include "base/time.h"
#include "platform/async/task.h"

namespace bulkhead::runner {

class Deadlines {
 public:
  class Waiter;
  // `fired` is called after waiters have been told.
  Deadlines(asio::io_context& context, std::function<void()> fired)
      : timer_(context.get_executor()), fired_(std::move(fired)) {}

  // Replaces the waiter's deadline. The waiter clears it before it dies.
  void set(Waiter& waiter, SteadyTime deadline);
  void clear(Waiter& waiter);
  bool empty() const { return waiting_.empty(); }

 private:
  using Entries = std::multimap<SteadyTime, Waiter*>;
  void arm();
  void fire();

  Entries waiting_;
  std::optional<SteadyTime> armed_;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor> timer_;
  std::function<void()> fired_;

 public:
  class Waiter {
   public:
    // The deadline has passed; the entry is gone. May set or clear any deadline and destroy this waiter.
    virtual void on_deadline() = 0;

   protected:
    ~Waiter() = default;

   private:
    friend class Deadlines;
    std::optional<Entries::iterator> entry_;
  };
};

}  // namespace bulkhead::runner
