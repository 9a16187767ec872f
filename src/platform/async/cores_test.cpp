#include "platform/async/cores.h"

#include <gtest/gtest.h>

#include <future>
#include <set>

#include "base/time.h"
#include "platform/async/both.h"
#include "platform/async/thread_pool.h"

namespace bulkhead {
namespace {

using namespace std::chrono_literals;

// Runs a coroutine on a core and waits for its value.
template <typename T>
T run_on(Cores& cores, std::size_t core, std::move_only_function<Task<T>()> work) {
  std::promise<T> promise;
  auto future = promise.get_future();
  cores.spawn(core, [&promise, &work]() -> Task<> { promise.set_value(co_await work()); });
  EXPECT_EQ(future.wait_for(20s), std::future_status::ready);
  return future.get();
}

TEST(Cores, RunWorkOnTheCoreThatWasAskedFor) {
  Cores cores(3);
  cores.start();
  EXPECT_TRUE(cores.running());
  std::set<std::thread::id> threads;
  for (std::size_t i = 0; i < 3; ++i) {
    threads.insert(run_on<std::thread::id>(cores, i, [&cores, i]() -> Task<std::thread::id> {
      EXPECT_TRUE(cores.at(i).is_current());
      EXPECT_FALSE(cores.at((i + 1) % 3).is_current());
      co_await sleep_for(Millis(1));
      EXPECT_TRUE(cores.at(i).is_current()) << "comes back to its core";
      co_return std::this_thread::get_id();
    }));
  }
  EXPECT_EQ(threads.size(), 3U);
  cores.stop();
  EXPECT_FALSE(cores.running());
}

Task<int> after(Millis delay, int value, int& running, int& most) {
  most = std::max(most, ++running);
  if (delay > Millis(0)) co_await sleep_for(delay);
  --running;
  co_return value;
}

TEST(Cores, BothRunAtTheSameTimeWhicheverEndsFirst) {
  Cores cores(1);
  cores.start();
  for (const auto& [first, second] : {std::pair(0, 0), {0, 30}, {30, 0}, {10, 30}, {30, 10}}) {
    int running = 0;
    int most = 0;
    const auto [a, b] = run_on<std::pair<int, int>>(cores, 0, [&]() -> Task<std::pair<int, int>> {
      co_return co_await both(after(Millis(first), 1, running, most), after(Millis(second), 2, running, most));
    });
    EXPECT_EQ(a, 1);
    EXPECT_EQ(b, 2);
    EXPECT_EQ(running, 0);
    if (first > 0 && second > 0) EXPECT_EQ(most, 2) << first << " " << second;
  }
}

TEST(Cores, StopDropsWorkThatStillWaits) {
  auto witness = std::make_shared<int>(0);
  {
    Cores cores(1);
    cores.start();
    std::promise<void> waiting;
    cores.spawn(0, [witness, &waiting]() -> Task<> {
      waiting.set_value();
      co_await sleep_for(1h);
    });
    ASSERT_EQ(waiting.get_future().wait_for(20s), std::future_status::ready);
  }
  EXPECT_EQ(witness.use_count(), 1) << "the suspended coroutine is gone";
}

TEST(ThreadPool, RunsElsewhereAndComesBackToTheCore) {
  Cores cores(1);
  cores.start();
  ThreadPool pool(2, 16);
  const auto answer = run_on<Result<std::string>>(cores, 0, [&]() -> Task<Result<std::string>> {
    auto result = co_await pool.run([&]() -> Result<std::string> {
      EXPECT_FALSE(cores.at(0).is_current());
      return std::string("done");
    });
    EXPECT_TRUE(cores.at(0).is_current());
    co_return result;
  });
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(*answer, "done");
}

TEST(ThreadPool, PassesErrorsOn) {
  Cores cores(1);
  cores.start();
  ThreadPool pool(1, 16);
  const auto answer = run_on<Status>(cores, 0, [&]() -> Task<Status> {
    co_return co_await pool.run([]() -> Status { return fail(ErrorCode::kStorageFull); });
  });
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kStorageFull);
}

TEST(ThreadPool, AFullQueueAnswersOverloadedAtOnce) {
  Cores cores(1);
  cores.start();
  std::promise<void> release, started;
  ThreadPool pool(1, 1);
  std::shared_future<void> gate = release.get_future().share();
  ASSERT_TRUE(pool.try_submit([&started, gate] {
    started.set_value();
    gate.wait();
  }));
  started.get_future().wait();          // the only thread is busy
  ASSERT_TRUE(pool.try_submit([] {}));  // the only place in the queue is taken
  const auto answer =
      run_on<Status>(cores, 0, [&]() -> Task<Status> { co_return co_await pool.run([]() -> Status { return {}; }); });
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kOverloaded);
  release.set_value();
}

TEST(ThreadPool, RunsWhatIsQueuedBeforeItEnds) {
  std::atomic<int> ran{0};
  {
    ThreadPool pool(2, 100);
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(pool.try_submit([&] { ++ran; }));
  }
  EXPECT_EQ(ran, 100);
}

}  // namespace
}  // namespace bulkhead
