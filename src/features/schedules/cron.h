// Cron: when something is due, as five fields: minute hour day-of-month month day-of-week.
//
//   0 3 * * *          every day at 03:00              */15 8-18 * * 1-5   every quarter of an hour, office hours
//   0 9 1 jan,jul *    1 January and 1 July at 09:00   0 0 13 * fri        on the 13th and on every Friday
//
// A field is a list of: * , a value, a range a-b, each with an optional step /n (a step after a single value means "to
// the end"). Months and days of the week may be named by three letters, in any case; the week begins with Sunday = 0,
// and 7 is Sunday, too. Where both day fields are restricted, a day needs to meet one of them, as in Vixie's cron
// (crontab(5)). A field that begins with * counts as not restricted. What can never be due (30 February) is refused.
// Immutable; any thread.
#pragma once

#include <bitset>
#include <chrono>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace bulkhead::schedules {

// Minutes since 1970-01-01 00:00 on a wall clock, without a time zone.
using LocalMinute = std::chrono::local_time<std::chrono::minutes>;

class Cron {
 public:
  static constexpr std::size_t kMaxText = 256;

  // kUnprocessable with a message that says which field is wrong and why.
  static Result<Cron> parse(std::string_view text);

  // The first minute at or after `from` at which it is due.
  LocalMinute next(LocalMinute from) const;

 private:
  bool is_due_on(std::chrono::year_month_day day) const;
  std::optional<LocalMinute> find(LocalMinute from) const;
  static Result<Cron> parse_fields(std::string_view text);

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;     // 1 … 31
  std::bitset<13> months_;   // 1 … 12
  std::bitset<7> weekdays_;  // 0 = Sunday
  bool any_day_ = false;     // the field began with *
  bool any_weekday_ = false;
};

}  // namespace bulkhead::schedules
