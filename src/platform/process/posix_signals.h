// The process's own signals: SIGTERM and SIGINT as something to await, and SIGPIPE out of the way.
#pragma once

#include <boost/asio/basic_signal_set.hpp>

#include "base/error.h"
#include "platform/async/task.h"

namespace bulkhead::process {

// Writing to a closed socket answers EPIPE instead of ending the process. Call once, first thing in main; children get
// the default disposition back (spawn resets it).
void ignore_sigpipe();

// Catches SIGTERM and SIGINT from construction on: one that arrives before `next` is awaited is not lost. Used on the
// core that `executor` belongs to.
class ShutdownSignals {
 public:
  explicit ShutdownSignals(Executor executor);
  // The signal's number. kCancelled after `cancel` or when the coroutine is cancelled.
  Task<Result<int>> next();
  void cancel();

 private:
  asio::basic_signal_set<Executor> signals_;
};

}  // namespace bulkhead::process
