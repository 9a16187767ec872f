#include "features/runners/runner_conduct.h"

#include <algorithm>

namespace bulkhead::runners {

Status RunnerConduct::pardon(const char* what) {
  if (pardons_-- > 0) return {};
  return fail(ErrorCode::kBadRequest, what);
}

void RunnerConduct::sent(const ContentHash& hash) {
  if (hashes_.size() >= kHashes) {
    hashes_.clear();
    hashes_complete_ = false;
  }
  hashes_.insert(hash);
}

void RunnerConduct::answered() {
  overdue_in_a_row_ = 0;
  pardons_ = std::min(kPardons, pardons_ + 1);
}

Status RunnerConduct::overdue() {
  pardons_ = std::min(kPardons, pardons_ + 1);
  if (++overdue_in_a_row_ <= kOverdueInARow) return {};
  return fail(ErrorCode::kBadRequest, "it answers pings but no calls");
}

Status RunnerConduct::result_of_nothing() { return pardon("results of calls that it was not given"); }

Status RunnerConduct::names_unknown_handle() { return pardon("host calls of executions that are not"); }

Status RunnerConduct::needs_module(const ContentHash& hash) {
  if (outside_ == OutsideCalls::kServed || !hashes_complete_ || hashes_.contains(hash)) return {};
  return fail(ErrorCode::kBadRequest, "a module of a bundle that it was given no call for");
}

Status RunnerConduct::begins_host_call(const ExecutionHandle& handle, std::uint32_t used, std::uint32_t limit) {
  if (!in_flight_.insert(handle).second) return fail(ErrorCode::kBadRequest, "two host calls of one execution");
  if (used >= limit) return fail(ErrorCode::kBadRequest, "more host calls than the execution may make");
  return {};
}

}  // namespace bulkhead::runners
