// A cron expression, newline, a time zone's name: what parses is due at ever later times, on whole minutes of UTC but
// where a zone's offset has seconds.
#include <cstdint>
#include <string_view>

#include "features/schedules/time_zone.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bulkhead;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = text.find('\n');
  const auto cron = schedules::Cron::parse(text.substr(0, cut));
  if (!cron) return 0;
  const auto zone = schedules::TimeZone::find(cut == std::string_view::npos ? "UTC" : text.substr(cut + 1));
  if (!zone) return 0;
  UtcMicros at{1'774'000'000'000'000};  // March 2026
  for (int i = 0; i < 20; ++i) {
    const UtcMicros next = zone->next(*cron, at);
    BH_ASSERT(next > at);
    at = next;
  }
  return 0;
}
