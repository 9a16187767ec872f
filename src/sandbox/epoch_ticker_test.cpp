#include "sandbox/epoch_ticker.h"

#include <gtest/gtest.h>

namespace bulkhead::sandbox {
namespace {

bool eventually(auto condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(EpochTicker, SleepsWhenNothingRunsAndTicksAgainWhenSomethingDoes) {
  std::atomic<int> ticks{0};
  EpochTicker ticker(Millis(1), [&] { ++ticks; });
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(eventually([&] { return ticker.is_asleep(); }));
    const int before = ticks;
    ticker.enter();
    EXPECT_TRUE(eventually([&] { return ticks >= before + 100; }));
    EXPECT_FALSE(ticker.is_asleep());
    ticker.leave();
  }
}

TEST(EpochTicker, StopsWhileAwakeAndWhileAsleep) {
  {
    EpochTicker awake(Millis(1), [] {});
  }
  EpochTicker asleep(Millis(1), [] {});
  EXPECT_TRUE(eventually([&] { return asleep.is_asleep(); }));
}

}  // namespace
}  // namespace bulkhead::sandbox
