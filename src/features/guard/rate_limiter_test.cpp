#include "features/guard/rate_limiter.h"

#include <gtest/gtest.h>

#include <thread>

namespace bulkhead::guard {
namespace {

using access::AdmissionClient;
using access::LimitClass;
using std::chrono::milliseconds;
using std::chrono::seconds;

AdmissionClient from(const char* address) { return {boost::asio::ip::make_address(address)}; }

class RateLimiterTest : public testing::Test {
 protected:
  RateLimiter& limiter(const RateLimits& limits, std::size_t buckets = 1024) {
    limiter_ = std::make_unique<RateLimiter>(limits, buckets, clock_, random_, registry_);
    return *limiter_;
  }
  static RateLimits by_address(double per_second, double burst) {
    RateLimits limits;
    limits.of(LimitClass::kRead).address = {per_second, burst};
    return limits;
  }
  access::Principal principal(const char* id, std::optional<TenantId> tenant = {}) {
    access::Principal made;
    made.kind = access::PrincipalKind::kApiKey;
    made.credential_id = id;
    made.tenant = tenant;
    return made;
  }
  ManualClock clock_;
  SystemRandom random_;
  metrics::Registry registry_;
  access::Principal anonymous_;
  std::unique_ptr<RateLimiter> limiter_;
};

TEST_F(RateLimiterTest, ABurstThenTheRate) {
  auto& limiter = this->limiter(by_address(10, 5));
  for (int i = 0; i < 5; ++i) {
    const auto answer = limiter.admit(LimitClass::kRead, from("192.0.2.1"), anonymous_);
    EXPECT_TRUE(answer.allowed);
    EXPECT_EQ(answer.remaining, 4 - i);
    EXPECT_EQ(answer.policy, "\"read-address\";q=5;w=1");
  }
  const auto refused = limiter.admit(LimitClass::kRead, from("192.0.2.1"), anonymous_);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.retry_after, milliseconds(100));
  EXPECT_EQ(refused.remaining, 0);
  EXPECT_EQ(refused.reset_seconds, 1);
  clock_.advance(milliseconds(99));
  EXPECT_FALSE(limiter.admit(LimitClass::kRead, from("192.0.2.1"), anonymous_).allowed);
  clock_.advance(milliseconds(1));
  EXPECT_TRUE(limiter.admit(LimitClass::kRead, from("192.0.2.1"), anonymous_).allowed);
  EXPECT_FALSE(limiter.admit(LimitClass::kRead, from("192.0.2.1"), anonymous_).allowed);
}

// Over a long time exactly burst + rate × time get through, whatever the pattern of asking.
TEST_F(RateLimiterTest, NeverMoreThanBurstPlusRate) {
  auto& limiter = this->limiter(by_address(7, 20));
  SeededRandom pattern(3);
  int allowed = 0;
  Micros passed{0};
  while (passed < seconds(60)) {
    const Micros step(static_cast<std::int64_t>(pattern.below(60'000)));
    clock_.advance(step);
    passed += step;
    allowed += limiter.admit(LimitClass::kRead, from("192.0.2.1"), anonymous_).allowed ? 1 : 0;
  }
  EXPECT_LE(allowed, 20 + 7 * 60 + 1);
  EXPECT_GE(allowed, 20 + 7 * 60 - 2);
}

TEST_F(RateLimiterTest, WhatIsCountedApart) {
  RateLimits limits = by_address(1, 1);
  limits.of(LimitClass::kWrite).address = {1, 1};
  auto& limiter = this->limiter(limits);
  EXPECT_TRUE(limiter.admit(LimitClass::kRead, from("192.0.2.1"), anonymous_).allowed);
  EXPECT_FALSE(limiter.admit(LimitClass::kRead, from("192.0.2.1"), anonymous_).allowed);
  EXPECT_TRUE(limiter.admit(LimitClass::kWrite, from("192.0.2.1"), anonymous_).allowed) << "another group";
  EXPECT_TRUE(limiter.admit(LimitClass::kRead, from("192.0.2.2"), anonymous_).allowed) << "another address";
  EXPECT_TRUE(limiter.admit(LimitClass::kExecute, from("192.0.2.1"), anonymous_).allowed) << "not limited";
}

TEST_F(RateLimiterTest, AddressesOfOneClientCountTogether) {
  auto& limiter = this->limiter(by_address(1, 1));
  EXPECT_TRUE(limiter.admit(LimitClass::kRead, from("2001:db8:1:2::1"), anonymous_).allowed);
  EXPECT_FALSE(limiter.admit(LimitClass::kRead, from("2001:db8:1:2:ffff::9"), anonymous_).allowed) << "the same /64";
  EXPECT_TRUE(limiter.admit(LimitClass::kRead, from("2001:db8:1:3::1"), anonymous_).allowed);
  EXPECT_TRUE(limiter.admit(LimitClass::kRead, from("192.0.2.1"), anonymous_).allowed);
  EXPECT_FALSE(limiter.admit(LimitClass::kRead, from("::ffff:192.0.2.1"), anonymous_).allowed) << "the same, mapped";
}

TEST_F(RateLimiterTest, PrincipalAndTenantAreCountedWhereverTheyComeFrom) {
  RateLimits limits;
  limits.of(LimitClass::kRead) = {.address = {}, .principal = {1, 2}, .tenant = {1, 3}};
  auto& limiter = this->limiter(limits);
  const TenantId tenant = TenantId::v4(random_);
  const auto ask = [&](const char* id, const char* address) {
    return limiter.admit(LimitClass::kRead, from(address), principal(id, tenant));
  };
  EXPECT_TRUE(ask("key:1", "192.0.2.1").allowed);
  EXPECT_TRUE(ask("key:1", "192.0.2.2").allowed);
  const auto by_principal = ask("key:1", "192.0.2.3");
  EXPECT_FALSE(by_principal.allowed);
  EXPECT_TRUE(by_principal.policy.starts_with("\"read-principal\""));
  EXPECT_TRUE(ask("key:2", "192.0.2.1").allowed) << "the principal's refusal took nothing of the tenant's";
  const auto by_tenant = ask("key:3", "192.0.2.1");
  EXPECT_FALSE(by_tenant.allowed);
  EXPECT_TRUE(by_tenant.policy.starts_with("\"read-tenant\""));
}

TEST_F(RateLimiterTest, ARefusalGivesBackWhatItTookElsewhere) {
  RateLimits limits;
  limits.of(LimitClass::kRead) = {.address = {1, 10}, .principal = {}, .tenant = {1, 1}};
  auto& limiter = this->limiter(limits);
  const TenantId tenant = TenantId::v4(random_);
  EXPECT_TRUE(limiter.admit(LimitClass::kRead, from("192.0.2.1"), principal("key:1", tenant)).allowed);
  for (int i = 0; i < 50; ++i) {
    EXPECT_FALSE(limiter.admit(LimitClass::kRead, from("192.0.2.1"), principal("key:1", tenant)).allowed);
  }
  EXPECT_EQ(limiter.admit(LimitClass::kRead, from("192.0.2.1"), anonymous_).remaining, 8);
}

TEST_F(RateLimiterTest, HeadersSpeakOfTheBucketWithTheLeastLeft) {
  RateLimits limits;
  limits.of(LimitClass::kRead) = {.address = {1, 100}, .principal = {1, 5}, .tenant = {1, 50}};
  const auto answer =
      limiter(limits).admit(LimitClass::kRead, from("192.0.2.1"), principal("key:1", TenantId::v4(random_)));
  EXPECT_EQ(answer.name, "\"read-principal\"");
  EXPECT_EQ(answer.remaining, 4);
}

TEST_F(RateLimiterTest, LocalSocketsHaveNoAddressToCount) {
  auto& limiter = this->limiter(by_address(1, 1));
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(limiter.admit(LimitClass::kRead, {.address = {}, .local_socket = true}, anonymous_).allowed);
  }
}

TEST_F(RateLimiterTest, RefusedCredentialsBlockFurtherTriesOfThatAddress) {
  RateLimits limits;
  limits.of(LimitClass::kAuth).address = {1, 3};
  auto& limiter = this->limiter(limits);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(limiter.may_try_credential(from("192.0.2.1")).allowed) << "asking is free";
  for (int i = 0; i < 3; ++i) limiter.note_refused_credential(from("192.0.2.1"));
  const auto answer = limiter.may_try_credential(from("192.0.2.1"));
  EXPECT_FALSE(answer.allowed);
  EXPECT_EQ(answer.retry_after, milliseconds(1000));
  EXPECT_TRUE(limiter.may_try_credential(from("192.0.2.2")).allowed);
  clock_.advance(seconds(1));
  EXPECT_TRUE(limiter.may_try_credential(from("192.0.2.1")).allowed);
}

// A flood of addresses: the table keeps its size, and whoever is being held back now stays held back.
TEST_F(RateLimiterTest, AFloodOfAddressesDoesNotFreeTheOneThatIsLimited) {
  auto& limiter = this->limiter(by_address(1, 100), 4096);
  for (int i = 0; i < 100; ++i) limiter.admit(LimitClass::kRead, from("192.0.2.1"), anonymous_);
  EXPECT_FALSE(limiter.admit(LimitClass::kRead, from("192.0.2.1"), anonymous_).allowed);
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    limiter.admit(LimitClass::kRead, {boost::asio::ip::address_v4(0x0a000000U + i)}, anonymous_);
  }
  EXPECT_FALSE(limiter.admit(LimitClass::kRead, from("192.0.2.1"), anonymous_).allowed);
  EXPECT_GT(registry_.counter("rate_limiter_evictions_total", "").value(), 0U);
}

TEST_F(RateLimiterTest, ThreadsTogetherGetExactlyTheBurst) {
  auto& limiter = this->limiter(by_address(0.001, 1'000));
  std::atomic<int> allowed = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1'000; ++i) {
        if (limiter.admit(LimitClass::kRead, from("192.0.2.1"), anonymous_).allowed) ++allowed;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(allowed, 1'000);
}

TEST_F(RateLimiterTest, TheDefaultsLimitEveryGroupThatClientsReach) {
  const RateLimits limits = default_rate_limits();
  for (const auto limit : {LimitClass::kRead, LimitClass::kWrite, LimitClass::kExecute, LimitClass::kUpload}) {
    EXPECT_GT(limits.of(limit).address.per_second, 0);
    EXPECT_GT(limits.of(limit).principal.per_second, 0);
    EXPECT_GT(limits.of(limit).tenant.per_second, 0);
  }
  EXPECT_GT(limits.of(LimitClass::kAuth).address.per_second, 0);
}

}  // namespace
}  // namespace bulkhead::guard
