// RunnerConduct: whether a runner still behaves as our own runner program does. A runner is assumed to be compromised
// sooner or later: what it says is never believed, and one that says what an honest one can't is ended and replaced
// (contracts/extensions.md §3).
//
// Some things happen to honest runners too, when a call is given up while its host call or result is on the way: each
// uses up one of a small number of pardons, and every call that ends gives one back. What no race explains (a second
// host call of one execution at a time, more of them than it may make, a module of no call) is not pardoned.
//
// One per channel; on its core's thread.
#pragma once

#include <cstdint>
#include <unordered_set>

#include "base/error.h"
#include "base/ids.h"
#include "protocol/execute.h"

namespace bulkhead::runners {

// Whether a runner may ask for modules that this channel never named: it serves /v1/execute to other callers.
enum class OutsideCalls : std::uint8_t { kNone, kServed };

class RunnerConduct {
 public:
  explicit RunnerConduct(OutsideCalls outside) : outside_(outside) {}

  // An execution of that bundle was sent; one has been answered; one was given up, not answered in time.
  void sent(const ContentHash& hash);
  void answered();
  Status overdue();

  // Each: fine, or why the runner must be ended (kBadRequest).
  Status result_of_nothing();
  Status needs_module(const ContentHash& hash);
  // `used`: host calls of that execution before this one.
  Status begins_host_call(const ExecutionHandle& handle, std::uint32_t used, std::uint32_t limit);
  Status names_unknown_handle();
  void ends_host_call(const ExecutionHandle& handle) { in_flight_.erase(handle); }

 private:
  static constexpr int kPardons = 64;
  static constexpr int kOverdueInARow = 16;
  static constexpr std::size_t kHashes = 65'536;  // then it starts anew, and asks are believed for a while

  Status pardon(const char* what);

  OutsideCalls outside_;
  int pardons_ = kPardons;
  int overdue_in_a_row_ = 0;
  bool hashes_complete_ = true;
  std::unordered_set<ContentHash> hashes_;
  std::unordered_set<ExecutionHandle> in_flight_;
};

}  // namespace bulkhead::runners
