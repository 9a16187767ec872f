// Flight: one piece of work that many coroutines, on any cores, wait for. The first one does it and lands the result;
// the others resume on their own cores with a copy.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "platform/async/task.h"

namespace bulkhead::extensions {

template <typename T>
class Flight {
 public:
  // For all but the first. `flight` is kept alive until the result is there.
  static Task<T> join(std::shared_ptr<Flight> flight) {
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void(T)>(
        [flight](auto handler) {
          auto guard = asio::prefer(asio::get_associated_executor(handler), asio::execution::outstanding_work.tracked);
          auto shared = std::make_shared<decltype(handler)>(std::move(handler));
          flight->wait([shared, guard](T result) {
            asio::post(guard,
                       [shared, result = std::move(result)]() mutable { std::move (*shared)(std::move(result)); });
          });
        },
        use_task);
  }

  void land(const T& result) {
    std::vector<std::function<void(T)>> waiters;
    {
      const std::scoped_lock lock(mutex_);
      result_ = result;
      waiters.swap(waiters_);
    }
    for (const auto& waiter : waiters) waiter(result);
  }

 private:
  void wait(std::function<void(T)> waiter) {
    {
      const std::scoped_lock lock(mutex_);
      if (!result_) {
        waiters_.push_back(std::move(waiter));
        return;
      }
    }
    waiter(*result_);
  }

  std::mutex mutex_;
  std::optional<T> result_;  // once set, never changed
  std::vector<std::function<void(T)>> waiters_;
};

}  // namespace bulkhead::extensions
