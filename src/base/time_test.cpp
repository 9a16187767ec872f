#include "base/time.h"

#include <gtest/gtest.h>

namespace bulkhead {
namespace {

TEST(Time, WritesAndReadsRfc3339) {
  const UtcMicros time{1'767'225'600'123'456};
  EXPECT_EQ(to_rfc3339(time), "2026-01-01T00:00:00.123456Z");
  EXPECT_EQ(parse_rfc3339("2026-01-01T00:00:00.123456Z"), time);
  EXPECT_EQ(parse_rfc3339("2026-01-01T00:00:00Z"), UtcMicros{1'767'225'600'000'000});
  EXPECT_EQ(parse_rfc3339("2024-02-29T12:30:59.5Z"), UtcMicros{1'709'209'859'500'000});
}

TEST(Time, RefusesWhatIsNoTime) {
  for (const char* text :
       {"", "2026-01-01", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00.1234567890Z", "-026-01-01T00:00:00Z", "2026-01-01T00:00:00+01:00"}) {
    EXPECT_FALSE(parse_rfc3339(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace bulkhead
