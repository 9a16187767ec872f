// Dispatcher: runs one execution on a runner of this node. Mints the execution handle, picks the runner process by
// tenant (consistent hashing), sends the frame, waits for the result. One per serve core; belongs to that core's
// thread.
//
// Errors that came from the guest or the runner are in ExecuteResponse::error. A Result error means the execution never
// produced an answer: kRunnerUnavailable (`dispatched` false: safe to retry; true: the runner died with the call in
// flight → also 503 for unsafe methods' sake), kRunnerOverloaded, kDeadlineExceeded.
#pragma once

#include <functional>
#include <utility>

#include "base/error.h"
#include "features/extensions/installed.h"
#include "platform/async/task.h"
#include "protocol/execute.h"

namespace bulkhead::runners {

struct DispatchFailure {
  Error error;
  bool dispatched = false;  // the frame may have reached the guest
};

// By which a caller ends its execution before it is done: nobody needs the answer any more. The caller's; outlives the
// execution. One core.
class EarlyEnd {
 public:
  // The execution ends with kCancelled. What was not dispatched yet never is. May resume the caller before it returns.
  void request() {
    requested_ = true;
    if (auto act = std::exchange(act_, nullptr)) act();
  }
  bool is_requested() const { return requested_; }
  // For the dispatcher: what a request has to do now; null for nothing.
  void on_request(std::move_only_function<void()> act) { act_ = std::move(act); }

 private:
  bool requested_ = false;
  std::move_only_function<void()> act_;
};

class Dispatcher {
 public:
  virtual ~Dispatcher() = default;
  // `request.handle` is set by the dispatcher; the request may be sent again afterwards. It, `install` and `early_end`
  // (null: runs to its end) stay alive until the result.
  virtual Task<std::expected<protocol::ExecuteResponse, DispatchFailure>> execute(protocol::ExecuteRequest& request,
                                                                                  extensions::InstalledPtr install,
                                                                                  EarlyEnd* early_end) = 0;
};

}  // namespace bulkhead::runners
