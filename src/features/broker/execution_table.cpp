#include "features/broker/execution_table.h"

#include <algorithm>

namespace bulkhead::broker {

ExecutionHandle ExecutionTable::mint(extensions::InstalledPtr install, SteadyTime deadline,
                                     const protocol::ExecuteContext& context) {
  if (live_.size() >= next_expiry_at_) {
    expire();
    next_expiry_at_ = std::max<std::size_t>(1024, live_.size() * 2);
  }
  const ExecutionHandle handle = ExecutionHandle::random(random_);
  const TenantScope scope(install->tenant_id);
  live_.emplace(handle, std::make_shared<LiveExecution>(LiveExecution{.scope = scope,
                                                                      .install = std::move(install),
                                                                      .deadline = deadline,
                                                                      .request_id = context.request_id,
                                                                      .trace_parent = context.trace_parent,
                                                                      .hops = context.hops}));
  return handle;
}

LivePtr ExecutionTable::find(const ExecutionHandle& handle) {
  const auto found = live_.find(handle);
  if (found == live_.end()) return nullptr;
  if (clock_.steady_now() >= found->second->deadline) {
    live_.erase(found);
    return nullptr;
  }
  return found->second;
}

LivePtr ExecutionTable::end(const ExecutionHandle& handle) {
  auto node = live_.extract(handle);
  return node ? std::move(node.mapped()) : nullptr;
}

void ExecutionTable::expire() {
  const SteadyTime now = clock_.steady_now();
  std::erase_if(live_, [&](const auto& entry) { return now >= entry.second->deadline; });
}

}  // namespace bulkhead::broker
