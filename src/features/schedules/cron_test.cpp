#include "features/schedules/cron.h"

#include <gtest/gtest.h>

#include "features/schedules/time_zone.h"

namespace bulkhead::schedules {
namespace {

struct NextCase {
  const char* cron;
  const char* zone;
  const char* after;
  std::vector<const char*> expected;  // one after the other
};

void expect_next(const NextCase& item) {
  UtcMicros at = *parse_rfc3339(item.after);
  for (const char* expected : item.expected) {
    const auto next = next_due(item.cron, item.zone, at);
    ASSERT_TRUE(next) << item.cron << ": " << next.error().to_log_string();
    EXPECT_EQ(to_rfc3339(*next), to_rfc3339(*parse_rfc3339(expected)))
        << item.cron << " in " << item.zone << " after " << to_rfc3339(at);
    at = *next;
  }
}

TEST(Cron, IsDueAtItsTimes) {
  const std::vector<NextCase> cases = {
      {"* * * * *", "UTC", "2026-11-22T10:00:00Z", {"2026-11-22T10:01:00Z", "2026-11-22T10:02:00Z"}},
      {"* * * * *", "UTC", "2026-11-22T10:00:59.999999Z", {"2026-11-22T10:01:00Z"}},
      {"0 3 * * *", "UTC", "2026-11-22T03:00:00Z", {"2026-11-23T03:00:00Z"}},
      {"0 3 * * *", "UTC", "2026-11-22T02:59:59Z", {"2026-11-22T03:00:00Z"}},
      {"*/15 * * * *",
       "UTC",
       "2026-11-22T10:44:00Z",
       {"2026-11-22T10:45:00Z", "2026-11-22T11:00:00Z", "2026-11-22T11:15:00Z"}},
      {"5-20/5 * * * *",
       "UTC",
       "2026-11-22T10:06:00Z",
       {"2026-11-22T10:10:00Z", "2026-11-22T10:15:00Z", "2026-11-22T10:20:00Z", "2026-11-22T11:05:00Z"}},
      {"50/4 * * * *",
       "UTC",
       "2026-11-22T10:51:00Z",
       {"2026-11-22T10:54:00Z", "2026-11-22T10:58:00Z", "2026-11-22T11:50:00Z"}},
      {"30 8,17 * * *", "UTC", "2026-11-22T09:00:00Z", {"2026-11-22T17:30:00Z", "2026-11-23T08:30:00Z"}},
      // 2026-11-22 is a Sunday.
      {"0 0 * * 0", "UTC", "2026-11-21T12:00:00Z", {"2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"}},
      {"0 0 * * 7", "UTC", "2026-11-21T12:00:00Z", {"2026-11-22T00:00:00Z"}},
      {"0 0 * * SUN", "UTC", "2026-11-21T12:00:00Z", {"2026-11-22T00:00:00Z"}},
      {"0 9 * * mon-fri", "UTC", "2026-11-20T10:00:00Z", {"2026-11-23T09:00:00Z", "2026-11-24T09:00:00Z"}},
      {"0 9 * * 5-7",
       "UTC",
       "2026-11-20T10:00:00Z",
       {"2026-11-21T09:00:00Z", "2026-11-22T09:00:00Z", "2026-11-27T09:00:00Z"}},
      {"0 9 1 Jan,jul *", "UTC", "2026-11-22T00:00:00Z", {"2027-01-01T09:00:00Z", "2027-07-01T09:00:00Z"}},
      // Both day fields: either.
      {"0 0 13 * fri",
       "UTC",
       "2026-11-10T00:00:00Z",
       {"2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z",
        "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"}},
      // A field that begins with * is not restricted: both must hold.
      {"0 0 */2 * fri", "UTC", "2026-11-22T00:00:00Z", {"2026-11-27T00:00:00Z", "2026-12-11T00:00:00Z"}},
      {"0 0 31 * *",
       "UTC",
       "2026-11-22T00:00:00Z",
       {"2026-12-31T00:00:00Z", "2027-01-31T00:00:00Z", "2027-03-31T00:00:00Z"}},
      {"0 0 29 2 *", "UTC", "2026-11-22T00:00:00Z", {"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
      {"0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", {"2104-02-29T00:00:00Z"}},
      {"59 23 31 12 *", "UTC", "2026-12-31T23:59:00Z", {"2027-12-31T23:59:00Z"}},
      {"  0\t3  * * * ", "UTC", "2026-11-22T00:00:00Z", {"2026-11-22T03:00:00Z"}},
  };
  for (const NextCase& item : cases) expect_next(item);
}

TEST(Cron, FollowsTimeZonesAndDaylightSavingTime) {
  const std::vector<NextCase> cases = {
      {"0 3 * * *", "Europe/Berlin", "2026-11-22T00:00:00Z", {"2026-11-22T02:00:00Z"}},
      {"0 3 * * *", "Europe/Berlin", "2026-07-01T00:00:00Z", {"2026-07-01T01:00:00Z"}},
      {"0 9 * * *", "Asia/Kolkata", "2026-11-22T00:00:00Z", {"2026-11-22T03:30:00Z"}},
      {"0 0 * * *", "Pacific/Kiritimati", "2026-11-22T00:00:00Z", {"2026-11-22T10:00:00Z"}},
      // Berlin, 29 March 2026: 02:00 to 03:00 does not exist. It fires at 03:00 CEST, once, and the day after as ever.
      {"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", {"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
      {"*/20 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", {"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"}},
      // With the times after the gap: the skipped ones and 03:00 are one.
      {"*/30 * * * *",
       "Europe/Berlin",
       "2026-03-29T00:15:00Z",
       {"2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"}},
      // Berlin, 25 October 2026: 02:00 to 03:00 comes twice. It fires the first time only.
      {"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", {"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
      {"*/30 * * * *",
       "Europe/Berlin",
       "2026-10-24T23:45:00Z",
       {"2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"}},
      // Asked in the middle of the repetition.
      {"15 2 * * *", "Europe/Berlin", "2026-10-25T01:05:00Z", {"2026-10-26T01:15:00Z"}},
      {"0 3 * * *", "Europe/Berlin", "2026-10-25T01:05:00Z", {"2026-10-25T02:00:00Z"}},
      // New York: 8 March and 1 November 2026.
      {"30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", {"2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"}},
      {"30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", {"2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"}},
      // Lord Howe's clock moves by half an hour (4 October 2026, 02:00 to 02:30).
      {"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", {"2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"}},
      // Midnight itself is skipped (Beirut, 29 March 2026).
      {"0 0 * * *", "Asia/Beirut", "2026-03-28T00:00:00Z", {"2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"}},
      // A whole day is skipped (Samoa, 30 December 2011).
      {"0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", {"2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"}},
  };
  for (const NextCase& item : cases) expect_next(item);
}

TEST(Cron, EachMomentOfAYearComesOnceAndInOrder) {
  for (const char* zone : {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe"}) {
    UtcMicros at = *parse_rfc3339("2026-01-01T00:00:00Z");
    const UtcMicros end = *parse_rfc3339("2027-01-01T00:00:00Z");
    int count = 0;
    while (true) {
      const UtcMicros next = *next_due("30 2 * * *", zone, at);
      ASSERT_GT(next, at);
      if (next >= end) break;
      at = next;
      ++count;
    }
    EXPECT_EQ(count, 365) << zone;
  }
}

TEST(Cron, RefusesWhatIsNoExpression) {
  for (const std::string text : {"",
                                 "* * * *",
                                 "* * * * * *",
                                 "60 * * * *",
                                 "* 24 * * *",
                                 "* * 0 * *",
                                 "* * 32 * *",
                                 "* * * 0 *",
                                 "* * * 13 *",
                                 "* * * * 8",
                                 "-1 * * * *",
                                 "5-1 * * * *",
                                 "*/0 * * * *",
                                 "*/60 * * * *",
                                 "*/x * * * *",
                                 "1,,2 * * * *",
                                 ",1 * * * *",
                                 "1- * * * *",
                                 "a * * * *",
                                 "* * * foo *",
                                 "* * * * monday",
                                 "@daily",
                                 "0 0 30 2 *",
                                 "0 0 31 4,6 *",
                                 "00000 * * * *",
                                 "* * * mon *",
                                 "1/ * * * *",
                                 "* * L * *"}) {
    const auto cron = Cron::parse(text);
    ASSERT_FALSE(cron) << text;
    EXPECT_EQ(cron.error().code, ErrorCode::kUnprocessable) << text;
    EXPECT_FALSE(cron.error().message.empty());
  }
  EXPECT_FALSE(Cron::parse("* * * * " + std::string(300, '*')));
}

TEST(Cron, RefusesUnknownTimeZones) {
  for (const char* name : {"", "Mars/Olympus", "../../etc/passwd", "europe/berlin"}) {
    EXPECT_FALSE(TimeZone::find(name)) << name;
  }
  EXPECT_TRUE(TimeZone::find("Etc/UTC"));
  EXPECT_TRUE(TimeZone::find("America/Argentina/Buenos_Aires"));
}

}  // namespace
}  // namespace bulkhead::schedules
