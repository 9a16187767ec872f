// A small pool for work that blocks (files, hashing, compression, name look-ups), with a bounded queue.
//
//   Result<std::string> bytes = co_await pool.run([&] { return read_file(path); });
//
// The work runs on a pool thread; the coroutine resumes on its own core. A full queue answers kOverloaded at once.
// Destroy the pool before the cores: work that is still running posts its result to them.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "platform/async/task.h"

namespace bulkhead {

class ThreadPool {
 public:
  ThreadPool(std::size_t threads, std::size_t queue_limit);
  ~ThreadPool();  // runs what is queued, then joins
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // false when the queue is full.
  bool try_submit(std::move_only_function<void()> work);

  // `work` returns a Result<T> or Status.
  template <typename Work, typename R = std::invoke_result_t<Work&>>
  Task<R> run(Work work) {
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void(R)>(
        [this](auto handler, Work job) {
          auto executor = asio::get_associated_executor(handler);
          auto shared = std::make_shared<decltype(handler)>(std::move(handler));
          // Keeps the core's io_context running while the work is elsewhere.
          auto guard = asio::prefer(executor, asio::execution::outstanding_work.tracked);
          auto finish = [shared, guard](R result) mutable {
            asio::post(guard, [shared, result = std::move(result)]() mutable { (*shared)(std::move(result)); });
          };
          if (!try_submit([job = std::move(job), finish]() mutable { finish(job()); })) {
            finish(fail(ErrorCode::kOverloaded, "Too much background work is waiting."));
          }
        },
        use_task, std::move(work));
  }

 private:
  void work_loop();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::move_only_function<void()>> queue_;
  std::size_t queue_limit_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace bulkhead
