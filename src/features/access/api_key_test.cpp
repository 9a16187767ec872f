#include "features/access/api_key.h"

#include <gtest/gtest.h>

#include <set>

namespace bulkhead::access {
namespace {

TEST(ApiKey, HasTheContractsForm) {
  SystemRandom random;
  const std::string key = generate_api_key(random);
  EXPECT_EQ(key.size(), kApiKeySize);
  EXPECT_TRUE(key.starts_with("bh_key_"));
  EXPECT_TRUE(is_api_key(key));
}

TEST(ApiKey, GoldenValueForAFixedSecret) {
  class Zeros final : public Random {
   public:
    void fill(std::span<std::uint8_t> out) override { std::ranges::fill(out, std::uint8_t{0}); }
  };
  Zeros zeros;
  const std::string key = generate_api_key(zeros);
  EXPECT_EQ(key.substr(0, 50), "bh_key_" + std::string(43, '0'));
  EXPECT_TRUE(is_api_key(key));
}

TEST(ApiKey, EveryKeyIsDifferent) {
  SystemRandom random;
  std::set<std::string> keys;
  for (int i = 0; i < 1000; ++i) keys.insert(generate_api_key(random));
  EXPECT_EQ(keys.size(), 1000U);
}

TEST(ApiKey, RefusesEverySingleChangedCharacter) {
  SeededRandom random(7);
  const std::string key = generate_api_key(random);
  for (std::size_t i = 0; i < key.size(); ++i) {
    std::string changed = key;
    changed[i] = changed[i] == 'x' ? 'y' : 'x';
    EXPECT_FALSE(is_api_key(changed)) << "position " << i;
  }
}

TEST(ApiKey, RefusesOtherForms) {
  SeededRandom random(9);
  const std::string key = generate_api_key(random);
  const std::string swapped = key.substr(0, 20) + key[21] + key[20] + key.substr(22);
  for (const std::string& text : {std::string(), key.substr(1), key + "0", key.substr(0, key.size() - 1),
                                  "BH_KEY_" + key.substr(7), " " + key, key.substr(0, 55) + "-", swapped}) {
    EXPECT_FALSE(is_api_key(text)) << text;
  }
}

// 43 base62 digits can spell numbers over 2^256; such a text was never generated, whatever its checksum.
TEST(ApiKey, RefusesSecretsBeyond256Bits) {
  class Ones final : public Random {
   public:
    void fill(std::span<std::uint8_t> out) override { std::ranges::fill(out, std::uint8_t{0xff}); }
  };
  Ones ones;
  EXPECT_TRUE(is_api_key(generate_api_key(ones)));
  EXPECT_FALSE(is_api_key("bh_key_" + std::string(43, 'z') + "000000"));
}

TEST(ApiKey, HashIsTheSha256OfTheWholeText) { EXPECT_EQ(api_key_hash("abc"), sha256("abc")); }

}  // namespace
}  // namespace bulkhead::access
