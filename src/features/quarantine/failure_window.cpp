#include "features/quarantine/failure_window.h"

#include <algorithm>

namespace bulkhead::quarantine {
namespace {

std::string span_text(Millis window) {
  const auto seconds = window.count() / 1000;
  if (seconds % 60 == 0 && seconds > 60) return std::to_string(seconds / 60) + " minutes";
  return std::to_string(seconds) + " seconds";
}

std::string sentence(std::uint64_t count, std::uint64_t calls, std::string_view what, Millis window) {
  return std::to_string(count) + " of its last " + std::to_string(calls) + " calls " + std::string(what) + " within " +
         span_text(window) + ".";
}

}  // namespace

std::int64_t FailureWindow::slice_number(SteadyTime now, const Thresholds& thresholds) {
  const auto slice = std::max<std::int64_t>(1, thresholds.window.count() / static_cast<std::int64_t>(kSlices));
  return std::chrono::duration_cast<Millis>(now.time_since_epoch()).count() / slice;
}

void FailureWindow::count(const CallSigns& signs, SteadyTime now, const Thresholds& thresholds) {
  const std::int64_t number = slice_number(now, thresholds);
  Slice& slice = slices_.at(static_cast<std::size_t>(number) % kSlices);
  if (slice.number != number) slice = {.number = number};
  ++slice.calls;
  if (signs.trapped) ++slice.traps;
  if (signs.out_of_memory) ++slice.out_of_memory;
  slice.violations += signs.violations;
}

FailureWindow::Slice FailureWindow::sum(SteadyTime now, const Thresholds& thresholds) const {
  const std::int64_t newest = slice_number(now, thresholds);
  Slice sum;
  for (const Slice& slice : slices_) {
    if (slice.number < 0 || slice.number <= newest - static_cast<std::int64_t>(kSlices)) continue;
    sum.calls += slice.calls;
    sum.traps += slice.traps;
    sum.out_of_memory += slice.out_of_memory;
    sum.violations += slice.violations;
  }
  return sum;
}

std::optional<FailureWindow::Verdict> FailureWindow::verdict(SteadyTime now, const Thresholds& thresholds) const {
  if (!thresholds.enabled) return std::nullopt;
  const Slice recent = sum(now, thresholds);
  const auto is_habit = [&](std::uint64_t count, std::uint32_t least) {
    return count >= least && count * 100 >= recent.calls * thresholds.share;
  };
  if (is_habit(recent.traps, thresholds.traps)) {
    return Verdict{Reason::kTraps, sentence(recent.traps, recent.calls, "crashed", thresholds.window)};
  }
  if (is_habit(recent.out_of_memory, thresholds.out_of_memory)) {
    return Verdict{Reason::kOutOfMemory,
                   sentence(recent.out_of_memory, recent.calls, "wanted more memory than allowed", thresholds.window)};
  }
  if (recent.violations >= thresholds.policy_violations) {
    return Verdict{Reason::kPolicyViolations, "It made " + std::to_string(recent.violations) +
                                                  " host calls that it was not granted within " +
                                                  span_text(thresholds.window) + "."};
  }
  return std::nullopt;
}

bool FailureWindow::is_quiet(SteadyTime now, const Thresholds& thresholds) const {
  const Slice recent = sum(now, thresholds);
  return recent.traps + recent.out_of_memory + recent.violations == 0;
}

}  // namespace bulkhead::quarantine
