#include "features/egress/pinned_keys.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace bulkhead::egress {
namespace {

const std::string kOne = "sha256//" + base64_encode(std::string(32, 'a'));
const std::string kTwo = "sha256//" + base64_encode(std::string(32, 'b'));

TEST(PinnedKeys, AreFoundByHost) {
  const auto keys = PinnedKeys::parse({"API.example.com=" + kOne, "other.example=" + kOne + ";" + kTwo});
  ASSERT_TRUE(keys) << keys.error().message;
  EXPECT_EQ(keys->of("api.example.com"), kOne);
  EXPECT_EQ(keys->of("other.example"), kOne + ";" + kTwo);
  EXPECT_EQ(keys->of("sub.api.example.com"), "");
}

TEST(PinnedKeys, RefuseOtherForms) {
  const std::vector<std::string> lines = {"",
                                          "api.example.com",
                                          "api.example.com=",
                                          "=" + kOne,
                                          "api.example.com:443=" + kOne,
                                          "api.example.com:8443=" + kOne,
                                          "api.example.com/x=" + kOne,
                                          "a@api.example.com=" + kOne,
                                          "*.example.com=" + kOne,
                                          "api.example.com=sha1//" + base64_encode("x"),
                                          "api.example.com=sha256//" + base64_encode("too short"),
                                          "api.example.com=" + kOne + ";",
                                          "api.example.com=" + kOne + "," + kTwo,
                                          "api.example.com#=" + kOne};
  for (const std::string& line : lines) {
    EXPECT_FALSE(PinnedKeys::parse({line})) << line;
  }
  EXPECT_FALSE(PinnedKeys::parse({"api.example.com=" + kOne, "Api.example.com=" + kTwo}));
}

}  // namespace
}  // namespace bulkhead::egress
