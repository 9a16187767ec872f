// FailureWindow: how one install fared in the last minutes, in ten slices of time; and when that is enough to
// quarantine it (contracts/extensions.md §3).
//
// Only what the extension itself did counts: traps, memory over its limit, host calls that its grants don't cover. An
// error that it answers (handler_error), a call's time-out, a caller's mistake, or a failure of ours never does. A
// plain value; the owner's lock guards it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "features/quarantine/record.h"

namespace bulkhead::quarantine {

struct Thresholds {
  bool enabled = true;
  Millis window{300'000};
  std::uint32_t traps = 20;
  std::uint32_t out_of_memory = 20;
  std::uint32_t policy_violations = 100;  // refused host calls
  // Of the calls in the window, percent: a busy extension that crashes once in a thousand calls stays. Host calls that
  // are refused count without it: no caller can make them harmless.
  std::uint32_t share = 10;
};

struct CallSigns {
  bool trapped = false;
  bool out_of_memory = false;
  std::uint32_t violations = 0;
};

class FailureWindow {
 public:
  void count(const CallSigns& signs, SteadyTime now, const Thresholds& thresholds);
  // The reason to quarantine it now, and the sentence that says so.
  struct Verdict {
    Reason reason;
    std::string message;
  };
  std::optional<Verdict> verdict(SteadyTime now, const Thresholds& thresholds) const;
  void reset() { slices_ = {}; }
  bool is_quiet(SteadyTime now, const Thresholds& thresholds) const;

 private:
  static constexpr std::size_t kSlices = 10;
  struct Slice {
    std::int64_t number = -1;
    std::uint64_t calls = 0;
    std::uint64_t traps = 0;
    std::uint64_t out_of_memory = 0;
    std::uint64_t violations = 0;
  };
  static std::int64_t slice_number(SteadyTime now, const Thresholds& thresholds);
  Slice sum(SteadyTime now, const Thresholds& thresholds) const;

  std::array<Slice, kSlices> slices_{};
};

}  // namespace bulkhead::quarantine
