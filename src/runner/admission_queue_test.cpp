#include "runner/admission_queue.h"

#include <gtest/gtest.h>

#include <array>

namespace bulkhead::runner {
namespace {

constexpr Micros kQuantum{1'000};

TEST(AdmissionQueue, GivesTenantsTheSameCpuTimeNotTheSameNumberOfCalls) {
  AdmissionQueue queue(kQuantum);
  std::array<Claimant, 2> tenants;
  const std::array<std::int64_t, 2> cost = {10'000, 500};
  std::array<std::int64_t, 2> calls{};
  for (Claimant& tenant : tenants) queue.wait(tenant);
  for (int i = 0; i < 21'000; ++i) {
    Claimant& tenant = *queue.next();
    const std::size_t which = &tenant == tenants.data() ? 0 : 1;
    ++calls.at(which);
    queue.settle(tenant, queue.admit(tenant), Micros(cost.at(which)));
  }
  EXPECT_NEAR(static_cast<double>(calls[1]) / static_cast<double>(calls[0]), 20.0, 1.0);
}

TEST(AdmissionQueue, LearnsWhatCallsCostThatEndLongAfterTheyWereAdmitted) {
  AdmissionQueue queue(kQuantum);
  Claimant heavy;
  Claimant light;
  // Ten calls of each tell what they usually cost.
  for (int i = 0; i < 30; ++i) {
    queue.settle(heavy, queue.admit(heavy), Micros(5'000));
    queue.settle(light, queue.admit(light), Micros(1'000));
  }
  queue.wait(heavy);
  queue.wait(light);
  int heavy_calls = 0;
  for (int i = 0; i < 600; ++i) {
    Claimant* tenant = queue.next();
    queue.admit(*tenant);  // and none ends
    if (tenant == &heavy) ++heavy_calls;
  }
  EXPECT_NEAR(heavy_calls, 100, 20);
}

TEST(AdmissionQueue, LetsOneTenantHaveItAllWhileNobodyElseWaits) {
  AdmissionQueue queue(kQuantum);
  Claimant tenant;
  EXPECT_EQ(queue.next(), nullptr);
  queue.wait(tenant);
  queue.wait(tenant);
  EXPECT_EQ(queue.size(), 1U);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(queue.next(), &tenant);
    queue.settle(tenant, queue.admit(tenant), Micros(1'000'000));
  }
  queue.withdraw(tenant);
  EXPECT_EQ(queue.next(), nullptr);
}

TEST(AdmissionQueue, HoldsNoGrudgeForLong) {
  AdmissionQueue queue(kQuantum);
  Claimant once_heavy;
  Claimant other;
  queue.settle(once_heavy, queue.admit(once_heavy), std::chrono::seconds(30));
  queue.wait(once_heavy);
  queue.wait(other);
  int others = 0;
  while (queue.next() == &other) {
    queue.settle(other, queue.admit(other), Micros(1'000));
    ASSERT_LT(++others, 70);
  }
}

TEST(WaitEstimate, ExpectsWhatTheHeadOfTheQueueHasShown) {
  ManualClock clock;
  WaitEstimate estimate;
  EXPECT_EQ(estimate.for_position(100, clock.steady_now()).count(), 0) << "nobody has waited yet";
  for (int i = 0; i < 50; ++i) {
    estimate.moved(clock.steady_now(), 5);
    clock.advance(Millis(2));
  }
  estimate.moved(clock.steady_now(), 5);
  EXPECT_NEAR(static_cast<double>(estimate.for_position(10, clock.steady_now()).count()), 20'000, 100);
  clock.advance(Millis(500));
  EXPECT_EQ(estimate.for_position(1, clock.steady_now()), Micros(500'000)) << "it has not moved for long";
  estimate.moved(clock.steady_now(), 0);
  EXPECT_EQ(estimate.for_position(10, clock.steady_now()).count(), 0) << "nobody waits any more";
}

}  // namespace
}  // namespace bulkhead::runner
