#include "sandbox/epoch_ticker.h"

#include <pthread.h>
#include <signal.h>

namespace bulkhead::sandbox {

EpochTicker::EpochTicker(Millis period, std::function<void()> tick)
    : period_(period), tick_(std::move(tick)), thread_([this] { run(); }) {}

EpochTicker::~EpochTicker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void EpochTicker::run() {
  pthread_setname_np(pthread_self(), "epoch");
  // The process's signals are for its main thread.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);

  std::unique_lock lock(mutex_);
  std::uint64_t seen = 0;
  int idle = 0;
  while (!stopping_) {
    changed_.wait_for(lock, period_, [this] { return stopping_; });
    tick_();
    const std::uint64_t entered = entered_.load(std::memory_order_seq_cst);
    if (entered != seen || entered != left_.load(std::memory_order_acquire)) {
      seen = entered;
      idle = 0;
      continue;
    }
    if (++idle < kIdleTicks) continue;
    // Announce the sleep, then look again: whoever enters after this look sees the announcement.
    asleep_.store(true, std::memory_order_seq_cst);
    if (entered_.load(std::memory_order_seq_cst) == seen) {
      changed_.wait(lock, [this] { return stopping_ || !asleep_.load(std::memory_order_relaxed); });
    }
    asleep_.store(false, std::memory_order_seq_cst);
    idle = 0;
  }
}

void EpochTicker::wake() {
  {
    const std::lock_guard lock(mutex_);
    asleep_.store(false, std::memory_order_seq_cst);
  }
  changed_.notify_all();
}

}  // namespace bulkhead::sandbox
