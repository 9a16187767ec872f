#include "features/gateway/body_budget.h"

#include <gtest/gtest.h>

namespace bulkhead::gateway {
namespace {

TenantId tenant(const char* text) { return *TenantId::parse(text); }
const TenantId kAcme = tenant("11111111-1111-4111-8111-111111111111");
const TenantId kOther = tenant("22222222-2222-4222-8222-222222222222");

TEST(BodyBudget, OneTenantsBodiesLeaveRoomForTheOthers) {
  BodyBudget budget(100_B, 40_B);
  BodyBudget::Share first(budget, kAcme), second(budget, kAcme), other(budget, kOther);
  ASSERT_TRUE(first.take(30));
  ASSERT_TRUE(second.take(10));
  const Status refused = second.take(1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConcurrencyExceeded);
  EXPECT_GT(refused.error().retry_after_ms, 0);
  EXPECT_TRUE(other.take(40));
}

TEST(BodyBudget, TheWholeIsBoundedToo) {
  BodyBudget budget(50_B, 40_B);
  BodyBudget::Share first(budget, kAcme), other(budget, kOther);
  ASSERT_TRUE(first.take(40));
  const Status refused = other.take(11);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  EXPECT_TRUE(other.take(10));
}

TEST(BodyBudget, WhatABodyTookIsFreeOnceItIsGone) {
  BodyBudget budget(50_B, 40_B);
  for (int round = 0; round < 3; ++round) {
    BodyBudget::Share share(budget, kAcme);
    ASSERT_TRUE(share.take(20));
    ASSERT_TRUE(share.take(20));
    ASSERT_FALSE(share.take(20));
  }
  BodyBudget::Share share(budget, kAcme);
  EXPECT_TRUE(share.take(40));
}

}  // namespace
}  // namespace bulkhead::gateway
