#include "base/ids.h"

#include <gtest/gtest.h>

namespace bulkhead {
namespace {

TEST(Uuid, RoundTripsInEitherCase) {
  const auto id = Uuid::parse("0AF76519-16cd-43dd-8448-EB211C80319c");
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(id->to_string(), "0af76519-16cd-43dd-8448-eb211c80319c");
}

TEST(Uuid, RefusesEveryOtherForm) {
  for (const std::string_view text : {"", "0af7651916cd43dd8448eb211c80319c", "0af76519-16cd-43dd-8448-eb211c80319",
                                      "{0af76519-16cd-43dd-8448-eb211c80}", "0af76519-16cd-43dd-8448-eb211c80319g",
                                      "0af7651-916cd-43dd-8448-eb211c80319c", "0af76519-16cd-43dd-8448--b211c80319c",
                                      "-af76519-16cd-43dd-8448-eb211c80319c"}) {
    EXPECT_FALSE(Uuid::parse(text).has_value()) << text;
  }
}

TEST(Uuid, CarriesItsVersionAndVariantAndV7SortsByTime) {
  SeededRandom random(1);
  EXPECT_EQ(Uuid::v4(random).to_string()[14], '4');
  const auto early = Uuid::v7({1'700'000'000'000'000}, random), late = Uuid::v7({1'700'000'000'001'000}, random);
  EXPECT_EQ(early.to_string()[14], '7');
  EXPECT_LT(early.to_string(), late.to_string());
  EXPECT_LT(early, late);
}

TEST(ContentHash, ParsesWithAndWithoutItsPrefix) {
  const auto hash = ContentHash::of("abc");
  EXPECT_EQ(hash.to_string(), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(ContentHash::parse(hash.to_string()), hash);
  EXPECT_EQ(ContentHash::parse(hash.hex()), hash);
  EXPECT_FALSE(ContentHash::parse("sha256:abc").has_value());
  EXPECT_FALSE(ContentHash::parse("sha512:" + hash.hex()).has_value());
  EXPECT_FALSE(ContentHash::parse(std::string(63, '0') + "x").has_value());
}

}  // namespace
}  // namespace bulkhead
