#include "base/byte_codec.h"

#include <gtest/gtest.h>

namespace bulkhead {
namespace {

TEST(ByteCodec, RoundTrips) {
  std::string out;
  ByteWriter writer(out);
  writer.number(std::uint8_t{7});
  writer.number(std::int64_t{-3});
  writer.text("hello");
  ByteReader reader(out);
  EXPECT_EQ(reader.number<std::uint8_t>(), 7);
  EXPECT_EQ(reader.number<std::int64_t>(), -3);
  EXPECT_EQ(reader.text(), "hello");
  EXPECT_TRUE(reader.ok_and_done());
}

TEST(ByteCodec, AReadPastTheEndFailsForGood) {
  std::string out;
  ByteWriter(out).number(std::uint32_t{4'000'000'000});
  out += "abc";
  ByteReader reader(out);
  EXPECT_EQ(reader.text(), "");
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.number<std::uint8_t>(), 0);
  EXPECT_EQ(reader.left(), 0U);
}

}  // namespace
}  // namespace bulkhead
