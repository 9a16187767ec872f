#include "platform/process/wait_fd.h"

#include <fcntl.h>
#include <poll.h>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <cerrno>
#include <chrono>
#include <memory>

#include "platform/process/errno_error.h"
#include "platform/process/unique_fd.h"

namespace bulkhead::process {
namespace {

using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

// Shared with the timer's handler, which may still be queued when the coroutine has gone on.
struct Watch {
  Watch(const Executor& executor, int fd) : descriptor(executor, fd), timer(executor) {}
  asio::posix::basic_stream_descriptor<Executor> descriptor;
  Timer timer;
  bool expired = false;
};

bool is_readable(int fd) {
  pollfd state{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&state, 1, 0) > 0;
}

}  // namespace

Task<Status> wait_readable(int fd, Millis deadline) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) co_return fail_errno(errno, "dup");
  const auto watch = std::make_shared<Watch>(co_await asio::this_coro::executor, copy.release());
  watch->timer.expires_after(deadline);
  watch->timer.async_wait([watch](boost::system::error_code cancelled) {
    if (cancelled) return;
    watch->expired = true;
    watch->descriptor.cancel(cancelled);
  });
  // Asio's wait may also answer for an event of the descriptor that had this number before, so readiness is looked at.
  boost::system::error_code failed;
  while (!failed && !is_readable(watch->descriptor.native_handle())) {
    co_await watch->descriptor.async_wait(asio::posix::descriptor_base::wait_read,
                                          asio::redirect_error(use_task, failed));
  }
  watch->timer.cancel();
  if (!failed) co_return Status{};
  if (watch->expired) co_return fail(ErrorCode::kDeadlineExceeded);
  co_return fail(ErrorCode::kCancelled);
}

}  // namespace bulkhead::process
