#include "features/schedules/time_zone.h"

#include <date/tz.h>

#include <exception>

namespace bulkhead::schedules {
namespace {

using std::chrono::minutes;

LocalMinute local_minute(std::chrono::seconds since_epoch) {
  return LocalMinute(std::chrono::floor<minutes>(since_epoch));
}

UtcMicros utc(std::chrono::seconds since_epoch) { return {std::chrono::microseconds(since_epoch).count()}; }

// The moment that a wall clock's minute stands for, by the rules above.
UtcMicros moment_of(const date::time_zone& zone, LocalMinute minute) {
  const date::local_seconds local{minute.time_since_epoch()};
  const date::local_info info = zone.get_info(local);
  if (info.result == date::local_info::nonexistent) return utc(info.first.end.time_since_epoch());
  return utc(local.time_since_epoch() - info.first.offset);
}

}  // namespace

Result<TimeZone> TimeZone::find(std::string_view name) {
  if (name == "UTC" || name == "Etc/UTC") return TimeZone(nullptr);
  if (name.empty() || name.size() > 64) return fail(ErrorCode::kUnprocessable, "A time zone has an IANA name.");
  try {
    return TimeZone(date::locate_zone(name));
  } catch (const std::exception& error) {
    return fail(ErrorCode::kUnprocessable, "There is no time zone " + std::string(name) + ".", error.what());
  }
}

UtcMicros TimeZone::next(const Cron& cron, UtcMicros after) const {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(Micros(after.value));
  if (zone_ == nullptr) {
    const LocalMinute found = cron.next(local_minute(seconds) + minutes(1));
    return utc(found.time_since_epoch());
  }
  const auto offset = zone_->get_info(date::sys_seconds(seconds)).offset;
  // Minutes of the wall clock only stand for later and later moments, but for those that it repeats: of them the first
  // has passed already.
  LocalMinute from = local_minute(seconds + offset);
  while (true) {
    const LocalMinute found = cron.next(from);
    const UtcMicros moment = moment_of(*zone_, found);
    if (moment > after) return moment;
    from = found + minutes(1);
  }
}

Result<UtcMicros> next_due(std::string_view cron, std::string_view zone, UtcMicros after) {
  BH_TRY(const Cron parsed, Cron::parse(cron));
  BH_TRY(const TimeZone found, TimeZone::find(zone));
  return found.next(parsed, after);
}

}  // namespace bulkhead::schedules
