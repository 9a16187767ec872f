#include "platform/process/posix_signals.h"

#include <boost/asio/redirect_error.hpp>
#include <csignal>

namespace bulkhead::process {

void ignore_sigpipe() { std::signal(SIGPIPE, SIG_IGN); }

ShutdownSignals::ShutdownSignals(Executor executor) : signals_(executor, SIGTERM, SIGINT) {}

Task<Result<int>> ShutdownSignals::next() {
  boost::system::error_code failed;
  const int signal = co_await signals_.async_wait(asio::redirect_error(use_task, failed));
  if (failed) co_return fail(ErrorCode::kCancelled);
  co_return signal;
}

void ShutdownSignals::cancel() {
  boost::system::error_code ignored;
  signals_.cancel(ignored);
}

}  // namespace bulkhead::process
