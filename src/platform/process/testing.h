// For the room's own tests: runs a coroutine on an event loop of its own until it is done.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <utility>

#include "platform/async/task.h"

namespace bulkhead::process {

// Runs `task` and whatever else is on `context` until `task` is done.
template <typename T>
T run_on(asio::io_context& context, Task<T> task) {
  std::optional<T> result;
  asio::co_spawn(context.get_executor(), std::move(task), [&](const std::exception_ptr& escaped, T value) {
    if (escaped) std::terminate();
    result.emplace(std::move(value));
  });
  context.restart();
  while (!result) context.run_one();
  return std::move(*result);
}

}  // namespace bulkhead::process
