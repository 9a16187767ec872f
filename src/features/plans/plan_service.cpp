#include "features/plans/plan_service.h"

#include "base/json.h"
#include "features/executions/execution_store.h"
#include "platform/bus/outbox.h"
#include "platform/observe/log.h"

namespace bulkhead::plans {
namespace {

Result<std::string> stored_plan(sql::TenantTx& tx) {
  BH_TRY(const auto rows, tx.query("SELECT plan FROM organization_plan WHERE tenant_id = $1"));
  return rows.empty() ? std::string("default") : rows.front().text(0);
}

Status store_plan(sql::TenantTx& tx, const std::string& plan, UtcMicros now) {
  BH_TRY_VOID(
      tx.execute("INSERT INTO organization_plan (tenant_id, plan, updated_at) VALUES ($1, $2, $3) "
                 "ON CONFLICT (tenant_id) DO UPDATE SET plan = excluded.plan, updated_at = excluded.updated_at",
                 {plan, now}));
  return {};
}

}  // namespace

PlanService::PlanService(Dependencies dependencies, const Plans& plans) : dependencies_(std::move(dependencies)) {
  for (const auto& [name, plan] : plans) {
    Plan named = plan;
    named.name = name;
    plans_.emplace(name, std::make_shared<const Plan>(std::move(named)));
  }
  default_ = plans_.try_emplace("default", std::make_shared<const Plan>()).first->second;
}

Task<Status> PlanService::load() {
  BH_CO_TRY_VOID(co_await load_assignments());
  const UtcMicros now = dependencies_.clock.now();
  BH_CO_TRY(const auto used, co_await dependencies_.database.system_read(
                                 [now](sql::SystemTx& tx) { return executions::sum_usage_by_tenant(tx, now); }));
  for (const auto& [tenant, usage] : used) {
    dependencies_.meter.add_hour(tenant,
                                 {.invocations = usage.invocations,
                                  .cpu_us = static_cast<std::int64_t>(usage.cpu_ms * 1'000),
                                  .egress_bytes = usage.egress_bytes},
                                 now);
  }
  co_return Status();
}

Task<Status> PlanService::load_assignments() {
  BH_CO_TRY(const auto rows, co_await dependencies_.database.system_read([](sql::SystemTx& tx) {
    return tx.query("SELECT tenant_id, plan FROM organization_plan");
  }));
  for (const auto& row : rows) put(row.id<TenantId>(0), row.text(1));
  co_return Status();
}

void PlanService::listen(bus::Bus& bus, Core& core) {
  subscriptions_.push_back(bus.subscribe(core, "organization.plan",
                                         {.message =
                                              [this](const bus::Message& message) {
                                                const auto event = bus::parse_event(message);
                                                if (event && event->tenant) dependencies_.run(refresh(*event->tenant));
                                              },
                                          .lost = [this] { dependencies_.run(reload()); }}));
}

Task<> PlanService::reload() {
  if (const auto loaded = co_await load_assignments(); !loaded) log::warn("plans_not_reloaded", loaded.error());
}

Task<> PlanService::refresh(TenantId tenant) {
  const auto scope = TenantScope::for_background_job(tenant, "plan of an organization");
  const auto plan = co_await dependencies_.database.read(scope, [](sql::TenantTx& tx) { return stored_plan(tx); });
  if (plan) {
    put(tenant, *plan);
  } else {
    log::warn("plan_not_refreshed", plan.error(), {{"tenant_id", tenant.to_string()}});
  }
}

void PlanService::put(const TenantId& tenant, const std::string& plan) {
  const auto known = plans_.find(plan);
  if (known == plans_.end()) log::warn("plan_unknown", {{"plan", plan}, {"tenant_id", tenant.to_string()}});
  const std::lock_guard lock(mutex_);
  assigned_.insert_or_assign(tenant, known == plans_.end() ? default_ : known->second);
  any_assigned_ = true;
}

PlanPtr PlanService::plan_of(const TenantId& tenant) const {
  if (!any_assigned_.load(std::memory_order_relaxed)) return default_;
  const std::lock_guard lock(mutex_);
  const auto found = assigned_.find(tenant);
  return found == assigned_.end() ? default_ : found->second;
}

Task<Result<PlanPtr>> PlanService::assign(access::Actor actor, TenantScope scope, std::string plan) {
  const auto known = plans_.find(plan);
  if (known == plans_.end()) {
    std::vector<std::string_view> names;
    for (const auto& [name, ignored] : plans_) names.push_back(name);
    std::string message = "There is no plan \"" + plan + "\"";
    if (const auto nearest = nearest_name(plan, names)) message += "; did you mean \"" + *nearest + "\"?";
    co_return fail(ErrorCode::kUnprocessable, message);
  }
  const UtcMicros now = dependencies_.clock.now();
  Random& random = dependencies_.random;
  const bus::Event event = bus::make_event(dependencies_.clock, random, "organization.plan",
                                           {{"tenant_id", scope.tenant().to_string()}, {"plan", plan}});
  BH_CO_TRY_VOID(
      co_await dependencies_.database.write(scope, [actor, plan, now, event, &random](sql::TenantTx& tx) -> Status {
        BH_TRY(const std::string before, stored_plan(tx));
        BH_TRY_VOID(store_plan(tx, plan, now));
        BH_TRY_VOID(access::append_audit(
            tx,
            access::audit_entry(actor, "organization.plan", "organization:" + tx.tenant().to_string(),
                                json::object{{"plan", before}}, json::object{{"plan", plan}}),
            now, random));
        return bus::append(tx, event);
      }));
  put(scope.tenant(), plan);
  dependencies_.wake_relay();
  co_return known->second;
}

}  // namespace bulkhead::plans
