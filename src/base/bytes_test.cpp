#include "base/bytes.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "base/sha256.h"

namespace bulkhead {
namespace {

TEST(Base64, MatchesTheRfcsVectors) {  // RFC 4648 §10
  const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text), bytes);
  }
}

TEST(Base64, RefusesPaddingAndBitsThatDoNotBelong) {
  for (const std::string_view text :
       {"Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm 9", "Zm-_", "Zg==Zg=="}) {
    EXPECT_FALSE(base64_decode(text).has_value()) << text;
  }
  EXPECT_EQ(base64url_decode("_-8"), "\xFF\xEF");
  for (const std::string_view text : {"_-8=", "_-9", "A", "+/8"})
    EXPECT_FALSE(base64url_decode(text).has_value()) << text;
}

TEST(Base64, RoundTripsEveryLength) {
  SeededRandom random(1);
  for (std::size_t size = 0; size < 200; ++size) {
    std::string bytes(size, '\0');
    random.fill({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
    EXPECT_EQ(base64url_decode(base64url_encode(bytes)), bytes);
    EXPECT_EQ(hex_decode(hex_encode(bytes)), bytes);
  }
}

TEST(Bytes, AreShownInTheLargestWholeUnit) {
  EXPECT_EQ(to_string(1536_B), "1536 B");
  EXPECT_EQ(to_string(10_MiB), "10 MiB");
  EXPECT_EQ(to_string(2048_GiB), "2048 GiB");
}

TEST(Bytes, ConstantTimeComparisonAndWiping) {
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abcd"));
  std::string secret = "secret";
  wipe(secret);
  EXPECT_TRUE(secret.empty());
}

TEST(Sha256, MatchesKnownVectors) {  // FIPS 180-4, RFC 4231 case 2
  const auto text = [](const Sha256Digest& digest) {
    return hex_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
  };
  EXPECT_EQ(text(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 parts;
  parts.update("a");
  parts.update("bc");
  EXPECT_EQ(text(parts.finish()), text(sha256("abc")));
  EXPECT_EQ(text(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

}  // namespace
}  // namespace bulkhead
