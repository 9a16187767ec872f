// ExecutionTable: what the broker knows about running executions, by their random 128-bit handles.
//
// The broker believes nothing that a runner says but a handle: tenant, install, grants and deadline come from here
// (contracts/extensions.md §3). A handle dies with its execution (`end`) or at its deadline, whichever is first. One
// table per serve core; used by that core's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/ids.h"
#include "base/random.h"
#include "base/tenant_scope.h"
#include "base/time.h"
#include "features/extensions/installed.h"

namespace bulkhead::broker {

struct LiveExecution {
  TenantScope scope;
  extensions::InstalledPtr install;  // grants and limits as they were when the execution began
  SteadyTime deadline;
  std::string request_id;
  std::string trace_parent;  // W3C, or empty
  std::uint32_t hops = 0;    // events that led here, one causing the next
  std::uint32_t host_calls = 0;
  std::uint32_t denied_host_calls = 0;                               // for want of a grant
  std::uint64_t egress_bytes = 0;                                    // sent and received by http.fetch
  std::map<std::string, std::string, std::less<>> secret_handles{};  // handle → name; made by secrets.get
};
using LivePtr = std::shared_ptr<LiveExecution>;

class ExecutionTable {
 public:
  ExecutionTable(const Clock& clock, Random& random) : clock_(clock), random_(random) {}

  // Of `context` only what tells one call from another is taken: request id, trace and hops.
  ExecutionHandle mint(extensions::InstalledPtr install, SteadyTime deadline, const protocol::ExecuteContext& context);
  // null for a handle that is unknown, ended or past its deadline.
  LivePtr find(const ExecutionHandle& handle);
  // What the execution used, for its log; null when its handle died before.
  LivePtr end(const ExecutionHandle& handle);
  std::size_t size() const { return live_.size(); }
  // Forgets what is past its deadline: handles opened for outside callers have nobody who ends them.
  void expire();

 private:
  const Clock& clock_;
  Random& random_;
  std::unordered_map<ExecutionHandle, LivePtr> live_;
  std::size_t next_expiry_at_ = 1024;
};

}  // namespace bulkhead::broker
