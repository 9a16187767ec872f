// Waits on an event loop until a file descriptor is readable (or has ended), with a deadline. For pidfds, eventfds,
// pipes.
#pragma once

#include "base/error.h"
#include "base/time.h"
#include "platform/async/task.h"

namespace bulkhead::process {

// `fd` stays the caller's and may be closed meanwhile (a duplicate is watched). kDeadlineExceeded, or kCancelled when
// the coroutine is cancelled.
Task<Status> wait_readable(int fd, Millis deadline);

}  // namespace bulkhead::process
