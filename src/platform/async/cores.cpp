#include "platform/async/cores.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>

namespace bulkhead {
namespace {

Task<> run_owned(std::move_only_function<Task<>()> work) { co_await work(); }

}  // namespace

Cores::Cores(std::size_t count) {
  if (count == 0) count = std::max(1U, std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < count; ++i) cores_.push_back(std::make_unique<Core>(i));
}

Cores::~Cores() { stop(); }

void Cores::start() {
  BH_ASSERT(threads_.empty());
  for (const auto& core : cores_) {
    threads_.emplace_back([&context = core->context()] {
      const auto guard = asio::make_work_guard(context);
      context.run();
    });
  }
}

void Cores::stop() {
  for (const auto& core : cores_) core->context().stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void Cores::spawn(std::size_t core, std::move_only_function<Task<>()> work) {
  asio::co_spawn(at(core).executor(), run_owned(std::move(work)), [](std::exception_ptr escaped) {
    if (escaped) std::terminate();
  });
}

Task<> sleep_for(std::chrono::milliseconds time) {
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor> timer(
      co_await asio::this_coro::executor, time);
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(use_task, ignored));
}

}  // namespace bulkhead
