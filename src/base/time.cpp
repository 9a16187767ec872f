#include "base/time.h"

#include <array>
#include <charconv>
#include <cstdio>

namespace bulkhead {
namespace {

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  int value = 0;
  const char* begin = text.data() + at;
  const auto [end, failure] = std::from_chars(begin, begin + count, value);
  if (failure != std::errc{} || end != begin + count || *begin == '-') return std::nullopt;
  return value;
}

}  // namespace

std::string to_rfc3339(UtcMicros time) {
  using namespace std::chrono;
  const sys_time<Micros> point{Micros(time.value)};
  const auto day = floor<days>(point);
  const year_month_day date{day};
  const hh_mm_ss clock{point - day};
  std::array<char, 40> text{};
  const int length =
      std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                    static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                    static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return {text.data(), static_cast<std::size_t>(length)};
}

std::optional<UtcMicros> parse_rfc3339(std::string_view text) {
  using namespace std::chrono;
  if (text.size() < 20 || text.back() != 'Z' || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
      text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  const auto year_value = digits(text, 0, 4), month_value = digits(text, 5, 2), day_value = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!year_value || !month_value || !day_value || !hour || !minute || !second) return std::nullopt;
  if (*hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  const year_month_day date{year(*year_value), month(static_cast<unsigned>(*month_value)),
                            day(static_cast<unsigned>(*day_value))};
  if (!date.ok()) return std::nullopt;
  std::int64_t fraction = 0;
  const std::string_view tail = text.substr(19, text.size() - 20);
  if (!tail.empty()) {
    if (tail.front() != '.' || tail.size() < 2 || tail.size() > 10) return std::nullopt;
    std::int64_t scale = 100'000;
    for (const char c : tail.substr(1)) {
      if (c < '0' || c > '9') return std::nullopt;
      fraction += (c - '0') * scale;
      scale /= 10;
    }
  }
  const auto whole = sys_days(date) + hours(*hour) + minutes(*minute) + seconds(*second);
  return UtcMicros{duration_cast<Micros>(whole.time_since_epoch()).count() + fraction};
}

UtcMicros SystemClock::now() const {
  return {std::chrono::duration_cast<Micros>(std::chrono::system_clock::now().time_since_epoch()).count()};
}

}  // namespace bulkhead
