// PlanService: which organization has which plan. The store is the truth; every node holds all assignments in memory
// (there are few: organizations without one have "default") and follows changes by `organization.plan` events.
// Thread-safe; asking never waits.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "features/access/audit.h"
#include "features/plans/plan.h"
#include "features/plans/usage_meter.h"
#include "platform/async/cores.h"
#include "platform/bus/bus.h"
#include "platform/sql/database.h"

namespace bulkhead::plans {

using PlanPtr = std::shared_ptr<const Plan>;

class PlanService {
 public:
  struct Dependencies {
    sql::Database& database;
    const Clock& clock;
    Random& random;  // thread-safe
    UsageMeter& meter;
    std::function<void()> wake_relay;
    std::function<void(Task<>)> run;  // detached, on some core
  };
  PlanService(Dependencies dependencies, const Plans& plans);

  // What the store says, and what this hour has cost so far; before the first call.
  Task<Status> load();
  void listen(bus::Bus& bus, Core& core);

  PlanPtr plan_of(const TenantId& tenant) const;
  // kUnprocessable for a plan that the configuration does not have, with the nearest one.
  Task<Result<PlanPtr>> assign(access::Actor actor, TenantScope scope, std::string plan);

 private:
  Task<> refresh(TenantId tenant);
  Task<> reload();
  Task<Status> load_assignments();
  void put(const TenantId& tenant, const std::string& plan);

  Dependencies dependencies_;
  std::unordered_map<std::string, PlanPtr> plans_;  // constant
  PlanPtr default_;
  mutable std::mutex mutex_;
  std::unordered_map<TenantId, PlanPtr> assigned_;  // guarded by mutex_
  std::atomic<bool> any_assigned_ = false;
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;
};

}  // namespace bulkhead::plans
