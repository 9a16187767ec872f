#include "platform/async/timer_wheel.h"

#include <gtest/gtest.h>

namespace bulkhead {
namespace {

using namespace std::chrono_literals;

// Moves the wheel by hand: the io_context is run only where a test says so.
class TimerWheelTest : public testing::Test {
 protected:
  void pass(Millis time) {
    now_ += time;
    wheel_.advance(now_);
  }

  asio::io_context context_{1};
  TimerWheel wheel_{context_.get_executor()};
  SteadyTime now_ = std::chrono::steady_clock::now();
};

TEST_F(TimerWheelTest, FiresOnceAndNeverEarlyAndAtMostOneStepLate) {
  for (const Millis wait : {Millis(1), Millis(99), Millis(100), Millis(1234), Millis(51'200), Millis(200'050)}) {
    int fired = 0;
    TimerWheel::Entry entry([&] { ++fired; });
    wheel_.arm(entry, now_ + wait);
    const SteadyTime armed = now_;
    while (now_ + Millis(10) < armed + wait) pass(Millis(10));
    EXPECT_EQ(fired, 0) << wait.count();
    pass(Millis(10) + 2 * TimerWheel::kStep);
    EXPECT_EQ(fired, 1) << wait.count();
    pass(120s);
    EXPECT_EQ(fired, 1) << wait.count();
  }
}

TEST_F(TimerWheelTest, ALaterArmingReplacesAnEarlierOne) {
  int fired = 0;
  TimerWheel::Entry entry([&] { ++fired; });
  for (int i = 0; i < 100; ++i) {
    wheel_.arm(entry, now_ + 1s);
    pass(500ms);
  }
  EXPECT_EQ(fired, 0);
  pass(1s);
  EXPECT_EQ(fired, 1);
}

TEST_F(TimerWheelTest, AnEarlierArmingReplacesALaterOne) {
  int fired = 0;
  TimerWheel::Entry entry([&] { ++fired; });
  wheel_.arm(entry, now_ + 60s);
  wheel_.arm(entry, now_ + 1s);
  pass(1200ms);
  EXPECT_EQ(fired, 1);
}

TEST_F(TimerWheelTest, DisarmedAndDestroyedEntriesStaySilent) {
  int fired = 0;
  TimerWheel::Entry disarmed([&] { ++fired; });
  wheel_.arm(disarmed, now_ + 1s);
  wheel_.disarm(disarmed);
  {
    TimerWheel::Entry destroyed([&] { ++fired; });
    wheel_.arm(destroyed, now_ + 1s);
  }
  pass(5s);
  EXPECT_EQ(fired, 0);
  wheel_.arm(disarmed, now_ + 1s);
  pass(5s);
  EXPECT_EQ(fired, 1);
}

TEST_F(TimerWheelTest, AFiringEntryMayDestroyItsNeighboursAndArmItself) {
  int fired = 0;
  auto neighbour = std::make_unique<TimerWheel::Entry>([&] { fired += 100; });
  std::unique_ptr<TimerWheel::Entry> first;
  first = std::make_unique<TimerWheel::Entry>([&] {
    ++fired;
    neighbour.reset();
    if (fired < 3) wheel_.arm(*first, now_ + 1s);
  });
  wheel_.arm(*first, now_ + 1s);
  wheel_.arm(*neighbour, now_ + 1s);
  for (int i = 0; i < 10; ++i) pass(1s);
  EXPECT_EQ(fired, 3);
}

TEST_F(TimerWheelTest, CatchesUpAfterALongPause) {
  int fired = 0;
  std::vector<std::unique_ptr<TimerWheel::Entry>> entries;
  for (int i = 0; i < 700; ++i) {
    entries.push_back(std::make_unique<TimerWheel::Entry>([&] { ++fired; }));
    wheel_.arm(*entries.back(), now_ + i * 100ms);
  }
  pass(24h);
  EXPECT_EQ(fired, 700);
}

TEST_F(TimerWheelTest, RunsByItself) {
  bool fired = false;
  TimerWheel::Entry entry([&] {
    fired = true;
    context_.stop();
  });
  const auto begin = std::chrono::steady_clock::now();
  wheel_.arm(entry, begin + 150ms);
  context_.run_for(10s);
  EXPECT_TRUE(fired);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 150ms);
}

TEST(TimerWheel, MayGoAwayBeforeItsTimer) {
  asio::io_context context(1);
  {
    TimerWheel wheel(context.get_executor());
    TimerWheel::Entry entry([] { FAIL(); });
    wheel.arm(entry, std::chrono::steady_clock::now());
  }
  context.run_for(500ms);
}

}  // namespace
}  // namespace bulkhead
