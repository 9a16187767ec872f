// The one thread that ends time slices: it calls `tick` every period while guests run, and sleeps when none do.
//
// A tick interrupts nobody by itself; a guest looks at the epoch at loop heads and calls and then yields. One ticker
// per engine: a tick per call would make concurrent calls expire each other. Threads: enter and leave from any thread,
// about 10 ns each; enter wakes the ticker if it sleeps.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "base/time.h"

namespace bulkhead::sandbox {

class EpochTicker {
 public:
  EpochTicker(Millis period, std::function<void()> tick);
  ~EpochTicker();
  EpochTicker(const EpochTicker&) = delete;
  EpochTicker& operator=(const EpochTicker&) = delete;

  // A guest begins to run on this thread, and has come back.
  void enter() {
    entered_.fetch_add(1, std::memory_order_seq_cst);
    if (asleep_.load(std::memory_order_seq_cst)) wake();
  }
  void leave() { left_.fetch_add(1, std::memory_order_release); }

  bool is_asleep() const { return asleep_.load(std::memory_order_relaxed); }

 private:
  // Silent ticks before it goes to sleep: waking costs a system call, so not after every short run.
  static constexpr int kIdleTicks = 50;

  void run();
  void wake();

  const Millis period_;
  const std::function<void()> tick_;
  std::atomic<std::uint64_t> entered_{0};
  std::atomic<std::uint64_t> left_{0};
  std::atomic<bool> asleep_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;  // last: starts when everything else is there
};

}  // namespace bulkhead::sandbox
