#include "features/access/address_range.h"

#include <gtest/gtest.h>

namespace bulkhead::access {
namespace {

boost::asio::ip::address address(const char* text) { return boost::asio::ip::make_address(text); }

TEST(AddressRange, ContainsTable) {
  struct Case {
    const char* range;
    const char* address;
    bool contained;
  };
  const Case cases[] = {
      {"10.0.0.0/8", "10.255.1.2", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"192.0.2.7", "192.0.2.7", true},
      {"192.0.2.7", "192.0.2.8", false},
      {"192.0.2.128/25", "192.0.2.200", true},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"0.0.0.0/0", "203.0.113.9", true},
      {"0.0.0.0/0", "2001:db8::1", false},
      {"10.0.0.0/8", "::ffff:10.1.2.3", true},
      {"::/0", "10.1.2.3", false},
      {"::/0", "2001:db8::1", true},
      {"2001:db8::/32", "2001:db8:ffff::1", true},
      {"2001:db8::/32", "2001:db9::1", false},
      {"2001:db8::/33", "2001:db8:8000::", false},
      {"::1", "::1", true},
      {"::ffff:192.0.2.7", "192.0.2.7", true},
  };
  for (const Case& c : cases) {
    const auto range = AddressRange::parse(c.range);
    ASSERT_TRUE(range) << c.range;
    EXPECT_EQ(range->contains(address(c.address)), c.contained) << c.range << " " << c.address;
  }
}

TEST(AddressRange, RefusesWhatIsNotABlock) {
  for (const char* text : {"", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/8 ", "10.0.0/8", "fe80::1%eth0",
                           "::/129", "example.com", "10.0.0.0/-1", "10.0.0.0/+8", "::ffff:10.0.0.0/104"}) {
    EXPECT_FALSE(AddressRange::parse(text)) << text;
  }
}

TEST(AddressRange, PrintsWhatItParsed) {
  for (const char* text : {"10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1"}) {
    EXPECT_EQ(AddressRange::parse(text)->to_string(), text);
  }
}

TEST(AddressRange, AListNamesItsFirstBadEntry) {
  const auto ranges = parse_address_ranges({"10.0.0.0/8", "nonsense"});
  ASSERT_FALSE(ranges);
  EXPECT_EQ(ranges.error().code, ErrorCode::kUnprocessable);
  EXPECT_NE(ranges.error().message.find("nonsense"), std::string::npos);
}

}  // namespace
}  // namespace bulkhead::access
