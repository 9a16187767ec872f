// both(): two tasks at the same time on one core, both waited for.
//
//   auto [bundle, code] = co_await both(open_bundle(hash), read_code(hash));
//
// They interleave wherever they wait (pool, sockets, timers). Whatever they refer to has to outlive the whole
// expression, as for any task. Tasks don't throw here: an exception of one would leave the other running.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "platform/async/task.h"

namespace bulkhead {
namespace detail {

template <typename T>
struct Beside {
  std::optional<T> result;
  std::move_only_function<void()> wake;  // set once somebody waits
};

template <typename T>
Task<> run_beside(Task<T> work, std::shared_ptr<Beside<T>> beside) {
  beside->result.emplace(co_await std::move(work));
  if (beside->wake) beside->wake();
}

}  // namespace detail

template <typename A, typename B>
Task<std::pair<A, B>> both(Task<A> first, Task<B> second) {
  const auto executor = co_await asio::this_coro::executor;
  auto beside = std::make_shared<detail::Beside<B>>();
  asio::co_spawn(executor, detail::run_beside(std::move(second), beside), asio::detached);
  A result = co_await std::move(first);
  if (!beside->result) {
    co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void()>(
        [&beside](auto handler) {
          auto waiting = std::make_shared<decltype(handler)>(std::move(handler));
          beside->wake = [waiting] {
            asio::post(asio::get_associated_executor(*waiting), [waiting] { (*waiting)(); });
          };
        },
        use_task);
  }
  co_return std::pair<A, B>(std::move(result), std::move(*beside->result));
}

}  // namespace bulkhead
