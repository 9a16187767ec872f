// Time: UTC timestamps in microseconds, durations in milliseconds, and the injected clock.
// Stored and logged times are UtcMicros; deadlines are steady-clock points. Only tests replace the clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bulkhead {

using Millis = std::chrono::milliseconds;
using Micros = std::chrono::microseconds;
using SteadyTime = std::chrono::steady_clock::time_point;

// Microseconds since 1970-01-01T00:00:00Z.
struct UtcMicros {
  std::int64_t value = 0;
  constexpr auto operator<=>(const UtcMicros&) const = default;
  constexpr UtcMicros operator+(Micros d) const { return {value + d.count()}; }
  constexpr UtcMicros operator-(Micros d) const { return {value - d.count()}; }
  constexpr Micros operator-(UtcMicros other) const { return Micros(value - other.value); }
};

// RFC 3339 with microseconds: "2026-11-22T13:00:45.123456Z".
std::string to_rfc3339(UtcMicros time);
std::optional<UtcMicros> parse_rfc3339(std::string_view text);

class Clock {
 public:
  virtual ~Clock() = default;
  virtual UtcMicros now() const = 0;
  virtual SteadyTime steady_now() const = 0;
};

class SystemClock final : public Clock {
 public:
  UtcMicros now() const override;
  SteadyTime steady_now() const override { return std::chrono::steady_clock::now(); }
};

// A clock that stands still until it is moved. For tests.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(UtcMicros start = {1'700'000'000'000'000}) : now_(start) {}
  UtcMicros now() const override { return now_; }
  SteadyTime steady_now() const override { return SteadyTime(Micros(now_.value)); }
  void advance(Micros by) { now_ = now_ + by; }

 private:
  UtcMicros now_;
};

}  // namespace bulkhead
