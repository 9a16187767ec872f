#include "features/runners/runner_conduct.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace bulkhead::runners {
namespace {

class RunnerConductTest : public testing::Test {
 protected:
  ExecutionHandle handle() { return ExecutionHandle::random(random_); }

  SeededRandom random_{11};
  RunnerConduct conduct_{OutsideCalls::kNone};
  const ContentHash bundle_ = ContentHash::of("bundle");
};

TEST_F(RunnerConductTest, AsksForModulesOfCallsThatItWasGiven) {
  EXPECT_FALSE(conduct_.needs_module(bundle_));
  conduct_.sent(bundle_);
  EXPECT_TRUE(conduct_.needs_module(bundle_));
  EXPECT_FALSE(conduct_.needs_module(ContentHash::of("another tenant's")));
  RunnerConduct open_to_others{OutsideCalls::kServed};
  EXPECT_TRUE(open_to_others.needs_module(bundle_)) << "calls of others never pass this channel";
}

TEST_F(RunnerConductTest, MakesOneHostCallOfAnExecutionAtATime) {
  const auto one = handle();
  EXPECT_TRUE(conduct_.begins_host_call(one, 0, 10));
  EXPECT_TRUE(conduct_.begins_host_call(handle(), 0, 10));
  EXPECT_FALSE(conduct_.begins_host_call(one, 1, 10));
  conduct_.ends_host_call(one);
  EXPECT_TRUE(conduct_.begins_host_call(one, 1, 10));
}

TEST_F(RunnerConductTest, MakesNoMoreHostCallsThanAnExecutionMay) {
  const auto one = handle();
  for (std::uint32_t used = 0; used < 3; ++used) {
    EXPECT_TRUE(conduct_.begins_host_call(one, used, 3));
    conduct_.ends_host_call(one);
  }
  EXPECT_FALSE(conduct_.begins_host_call(one, 3, 3));
}

TEST_F(RunnerConductTest, IsPardonedForRacesAndNotForHabits) {
  // A host call or a result may cross the message that its execution is over: each ended call explains one.
  for (int round = 0; round < 1'000; ++round) {
    EXPECT_TRUE(conduct_.names_unknown_handle());
    conduct_.answered();
    EXPECT_TRUE(conduct_.result_of_nothing());
    EXPECT_TRUE(conduct_.overdue());
    conduct_.answered();
  }
  int pardons = 0;
  while (conduct_.names_unknown_handle()) ++pardons;
  EXPECT_EQ(pardons, 64);
  EXPECT_FALSE(conduct_.result_of_nothing());
}

TEST_F(RunnerConductTest, AnswersOneCallInSixteen) {
  for (int i = 0; i < 16; ++i) EXPECT_TRUE(conduct_.overdue());
  conduct_.answered();
  for (int i = 0; i < 16; ++i) EXPECT_TRUE(conduct_.overdue());
  EXPECT_FALSE(conduct_.overdue());
}

}  // namespace
}  // namespace bulkhead::runners
