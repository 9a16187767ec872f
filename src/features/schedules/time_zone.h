// TimeZone: an IANA time zone, and when a cron expression is due in it. The only place that knows the tz library
// (howardhinnant/date over the system's zoneinfo; libstdc++ 12 has no time zones).
//
// Daylight saving time:
// - A time that the clock skips fires once, at the moment right after the gap, however many of them fall into it.
// - A time that the clock repeats fires once, the first time.
// So "30 2 * * *" runs on every day of the year, exactly once.
// Immutable; any thread. The first use of a zone reads its small file.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "features/schedules/cron.h"

namespace date {
class time_zone;
}

namespace bulkhead::schedules {

class TimeZone {
 public:
  // "Europe/Berlin". kUnprocessable for a name that the system does not have.
  static Result<TimeZone> find(std::string_view name);

  // The first moment after `after` at which `cron` is due here.
  UtcMicros next(const Cron& cron, UtcMicros after) const;

 private:
  explicit TimeZone(const date::time_zone* zone) : zone_(zone) {}
  const date::time_zone* zone_;  // of the library's constant list; null: UTC, which needs no file
};

// The same from texts.
Result<UtcMicros> next_due(std::string_view cron, std::string_view zone, UtcMicros after);

}  // namespace bulkhead::schedules
