#include "features/schedules/cron.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <string>

namespace bulkhead::schedules {
namespace {

using std::chrono::days;
using std::chrono::local_days;
using std::chrono::minutes;
using std::chrono::year_month_day;

// The longest time between two leap days (around 2100), and a year for the weekday.
constexpr days kHorizon{366 * 9};

struct FieldKind {
  std::string_view name;
  unsigned least = 0;
  unsigned most = 0;
  std::span<const std::string_view> names;  // of least, least + 1, …
};

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
const std::array<FieldKind, 5> kFields = {{{"minute", 0, 59, {}},
                                           {"hour", 0, 23, {}},
                                           {"day of month", 1, 31, {}},
                                           {"month", 1, 12, kMonths},
                                           {"day of week", 0, 7, kWeekdays}}};

std::unexpected<Error> wrong(const FieldKind& kind, const std::string& what) {
  return fail(ErrorCode::kUnprocessable, "The cron field " + std::string(kind.name) + " " + what + ".");
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::optional<unsigned> number_of(std::string_view text) {
  unsigned value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text.size() > 4 || failure != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

Result<unsigned> value_of(const FieldKind& kind, std::string_view text) {
  if (text.size() == 3) {
    for (std::size_t i = 0; i < kind.names.size(); ++i) {
      if (std::ranges::equal(text, kind.names[i], {}, lower)) return static_cast<unsigned>(i) + kind.least;
    }
  }
  const auto value = number_of(text);
  if (!value) return wrong(kind, "has \"" + std::string(text) + "\", which is no value");
  if (*value < kind.least || *value > kind.most) {
    return wrong(kind, "goes from " + std::to_string(kind.least) + " to " + std::to_string(kind.most));
  }
  return *value;
}

using Marks = std::bitset<64>;

// "*", "a", "a-b", each with an optional "/n".
Status mark_item(const FieldKind& kind, std::string_view item, Marks& marks) {
  const std::size_t slash = item.find('/');
  const std::string_view range = item.substr(0, slash);
  unsigned first = kind.least, last = kind.most, step = 1;
  if (slash != std::string_view::npos) {
    const auto number = number_of(item.substr(slash + 1));
    if (!number || *number == 0 || *number > kind.most) return wrong(kind, "has a step that is not possible");
    step = *number;
  }
  if (range != "*") {
    const std::size_t dash = range.find('-');
    BH_TRY(first, value_of(kind, range.substr(0, dash)));
    if (dash != std::string_view::npos) {
      BH_TRY(last, value_of(kind, range.substr(dash + 1)));
    } else if (slash == std::string_view::npos) {
      last = first;
    }
    if (last < first) return wrong(kind, "has a range that goes backwards");
  }
  for (unsigned value = first; value <= last; value += step) marks.set(value);
  return {};
}

Result<Marks> marks_of(const FieldKind& kind, std::string_view field) {
  Marks marks;
  while (true) {
    const std::size_t comma = field.find(',');
    BH_TRY_VOID(mark_item(kind, field.substr(0, comma), marks));
    if (comma == std::string_view::npos) return marks;
    field.remove_prefix(comma + 1);
  }
}

std::optional<std::array<std::string_view, 5>> split(std::string_view text) {
  std::array<std::string_view, 5> fields;
  std::size_t count = 0;
  while (true) {
    const std::size_t start = text.find_first_not_of(" \t");
    if (start == std::string_view::npos) break;
    text.remove_prefix(start);
    const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
    if (count == fields.size()) return std::nullopt;
    fields.at(count++) = text.substr(0, end);
    text.remove_prefix(end);
  }
  if (count != fields.size()) return std::nullopt;
  return fields;
}

template <std::size_t N>
std::bitset<N> narrowed(const Marks& marks) {
  std::bitset<N> bits;
  for (std::size_t i = 0; i < N; ++i) bits[i] = marks[i];
  return bits;
}

// The first marked place at or after `from`, or N.
template <std::size_t N>
std::size_t first_at(const std::bitset<N>& bits, std::size_t from) {
  while (from < N && !bits[from]) ++from;
  return from;
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
  BH_TRY(Cron cron, parse_fields(text));
  constexpr local_days kSomeDay{year_month_day{std::chrono::year{2024}, std::chrono::March, std::chrono::day{1}}};
  if (!cron.find(kSomeDay)) return fail(ErrorCode::kUnprocessable, "The cron expression names a day that never comes.");
  return cron;
}

Result<Cron> Cron::parse_fields(std::string_view text) {
  const auto fields = text.size() <= kMaxText ? split(text) : std::nullopt;
  if (!fields) {
    return fail(ErrorCode::kUnprocessable, "A cron expression has five fields: minute hour day month weekday.");
  }
  std::array<Marks, 5> marks;
  for (std::size_t i = 0; i < fields->size(); ++i) {
    BH_TRY(marks.at(i), marks_of(kFields.at(i), fields->at(i)));
  }
  Cron cron;
  cron.minutes_ = narrowed<60>(marks[0]);
  cron.hours_ = narrowed<24>(marks[1]);
  cron.days_ = narrowed<32>(marks[2]);
  cron.months_ = narrowed<13>(marks[3]);
  cron.weekdays_ = narrowed<7>(marks[4]);
  if (marks[4][7]) cron.weekdays_.set(0);
  cron.any_day_ = fields->at(2).starts_with('*');
  cron.any_weekday_ = fields->at(4).starts_with('*');
  return cron;
}

bool Cron::is_due_on(year_month_day day) const {
  if (!months_[static_cast<unsigned>(day.month())]) return false;
  const bool by_day = days_[static_cast<unsigned>(day.day())];
  const bool by_weekday = weekdays_[std::chrono::weekday(local_days(day)).c_encoding()];
  if (any_day_ || any_weekday_) return by_day && by_weekday;
  return by_day || by_weekday;
}

std::optional<LocalMinute> Cron::find(LocalMinute from) const {
  local_days day = std::chrono::floor<days>(from);
  const local_days end = day + kHorizon;
  minutes start = from - day;
  for (; day < end; day += days(1), start = minutes(0)) {
    if (!is_due_on(year_month_day(day))) continue;
    for (std::size_t hour = first_at(hours_, static_cast<std::size_t>(start.count() / 60)); hour < 24;
         hour = first_at(hours_, hour + 1)) {
      const bool is_first = std::chrono::hours(hour) <= start;
      const std::size_t minute = first_at(minutes_, is_first ? static_cast<std::size_t>(start.count() % 60) : 0);
      if (minute < 60) return day + std::chrono::hours(hour) + minutes(minute);
    }
  }
  return std::nullopt;
}

LocalMinute Cron::next(LocalMinute from) const {
  const auto found = find(from);
  BH_ASSERT(found.has_value());  // parse refuses what is never due
  return *found;
}

}  // namespace bulkhead::schedules
