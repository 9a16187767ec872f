#include "features/secrets/envelope_cache.h"

#include <gtest/gtest.h>

namespace bulkhead::secrets {
namespace {

class EnvelopeCacheTest : public testing::Test {
 protected:
  static EnvelopeCache::Stored text(std::string value) { return std::make_shared<const std::string>(std::move(value)); }
  void fill(const InstallId& install, std::string_view key, EnvelopeCache::Stored envelope) {
    cache_.keep(install, key, std::move(envelope), cache_.ticket(install));
  }

  SeededRandom random_{7};
  ManualClock clock_;
  EnvelopeCache cache_{clock_, {.entries = 32, .bytes = 32_KiB, .keep = Millis(1'000)}};
  InstallId install_ = InstallId::v4(random_);
};

TEST_F(EnvelopeCacheTest, RemembersPresenceAndAbsence) {
  EXPECT_FALSE(cache_.find(install_, "a").has_value());
  fill(install_, "a", text("envelope"));
  fill(install_, "b", nullptr);
  EXPECT_EQ(**cache_.find(install_, "a"), "envelope");
  EXPECT_EQ(*cache_.find(install_, "b"), nullptr);
  EXPECT_FALSE(cache_.find(InstallId::v4(random_), "a").has_value());
}

TEST_F(EnvelopeCacheTest, ForgetsAnInstallWhenToldAndEverythingInTime) {
  const InstallId other = InstallId::v4(random_);
  fill(install_, "a", text("1"));
  fill(other, "a", text("2"));
  cache_.evict(install_);
  EXPECT_FALSE(cache_.find(install_, "a").has_value());
  EXPECT_TRUE(cache_.find(other, "a").has_value());
  clock_.advance(std::chrono::seconds(1));
  EXPECT_FALSE(cache_.find(other, "a").has_value());
  fill(install_, "a", text("1"));
  cache_.evict_all();
  EXPECT_FALSE(cache_.find(install_, "a").has_value());
}

TEST_F(EnvelopeCacheTest, DiscardsAFillThatBeganBeforeAnEviction) {
  const std::uint64_t ticket = cache_.ticket(install_);
  cache_.evict(install_);
  cache_.keep(install_, "a", text("old"), ticket);
  EXPECT_FALSE(cache_.find(install_, "a").has_value());
}

TEST_F(EnvelopeCacheTest, StaysWithinItsBounds) {
  fill(install_, "big", text(std::string(100'000, 'e')));
  EXPECT_TRUE(cache_.find(install_, "big").has_value()) << "one entry is always kept";
  fill(install_, "small", text("1"));
  EXPECT_FALSE(cache_.find(install_, "big").has_value());
  for (int i = 0; i < 100; ++i) fill(install_, std::to_string(i), text("2"));
  int kept = 0;
  for (int i = 0; i < 100; ++i) kept += cache_.find(install_, std::to_string(i)).has_value() ? 1 : 0;
  EXPECT_LE(kept, 2) << "32 entries over 16 shards";
}

}  // namespace
}  // namespace bulkhead::secrets
