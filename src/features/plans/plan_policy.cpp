#include "features/plans/plan_policy.h"

namespace bulkhead::plans {

PlanPolicy::PlanPolicy(const PlanService& plans, UsageMeter& meter, const Clock& clock, metrics::Registry& registry)
    : plans_(plans),
      meter_(meter),
      clock_(clock),
      refused_(
          registry.counter("plan_calls_refused_total", "Calls refused because a window of the plan was used up.")) {}

Status PlanPolicy::admit(std::size_t, invocations::Invocation& invocation) {
  const TenantId& tenant = invocation.install->tenant_id;
  const PlanPtr plan = plans_.plan_of(tenant);
  invocation.caps = {.timeout = Millis(plan->timeout_ms),
                     .memory = Bytes{static_cast<std::uint64_t>(plan->memory_mb) << 20U},
                     .concurrency = static_cast<std::uint32_t>(plan->concurrency),
                     .queue = static_cast<std::uint32_t>(plan->queue)};
  const auto refusal = meter_.begin(tenant, *plan, clock_.now());
  if (!refusal) return {};
  refused_.add();
  auto refused = fail(ErrorCode::kQuotaExceeded, "The organization has used up " + std::string(refusal->limit) +
                                                     " of its plan \"" + plan->name + "\".");
  refused.error().retry_after_ms = refusal->retry_after.count();
  return refused;
}

void PlanPolicy::observe(std::size_t, const invocations::Invocation& invocation, const invocations::Outcome& outcome) {
  if (!outcome.answer) return;
  const protocol::Usage& usage = outcome.answer->usage;
  meter_.end(invocation.install->tenant_id, static_cast<std::int64_t>(usage.cpu_us),
             static_cast<std::int64_t>(usage.egress_bytes), clock_.now());
}

}  // namespace bulkhead::plans
