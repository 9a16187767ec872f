// Task<T>: the coroutine type of the whole code base, on the concrete executor of a core (no type erasure).
//
// A Task runs on the core (thread) that spawned it and comes back to that core after every co_await. Pass arguments to
// coroutines by value or by reference to something that outlives them; a lambda coroutine's captures die with the
// lambda, so prefer named functions.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace bulkhead {

namespace asio = boost::asio;

using Executor = asio::io_context::executor_type;
template <typename T = void>
using Task = asio::awaitable<T, Executor>;
inline constexpr asio::use_awaitable_t<Executor> use_task{};

}  // namespace bulkhead
