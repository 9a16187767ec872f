// Dispatcher: runs one execution on a runner of this node. Mints the execution handle, picks the runner process by
// tenant (consistent hashing), sends the frame, waits for the result. One per serve core; belongs to that core's
// thread.
//
// Errors that came from the guest or the runner are in ExecuteResponse::error. A Result error means the execution never
// produced an answer: kRunnerUnavailable (`dispatched` false: safe to retry; true: the runner died with the call in
// flight → also 503 for unsafe methods' sake), kRunnerOverloaded, kDeadlineExceeded.
#pragma once

#include "base/error.h"
#include "features/extensions/installed.h"
#include "platform/async/task.h"
#include "protocol/execute.h"

namespace bulkhead::runners {

struct DispatchFailure {
  Error error;
  bool dispatched = false;  // the frame may have reached the guest
};

class Dispatcher {
 public:
  virtual ~Dispatcher() = default;
  // `request.handle` is set by the dispatcher; the request may be sent again afterwards. Both it and `install` stay
  // alive until the result.
  virtual Task<std::expected<protocol::ExecuteResponse, DispatchFailure>> execute(protocol::ExecuteRequest& request,
                                                                                  extensions::InstalledPtr install) = 0;
};

}  // namespace bulkhead::runners
