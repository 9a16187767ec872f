// PlanPolicy: holds calls to their organization's plan: no call may take more than it allows, and none begins once a
// window is used up (429 quota_exceeded with the time to wait).
#pragma once

#include "features/invocations/invoker.h"
#include "features/plans/plan_service.h"

namespace bulkhead::plans {

class PlanPolicy final : public invocations::InvocationPolicy {
 public:
  // All outlive it.
  PlanPolicy(const PlanService& plans, UsageMeter& meter, const Clock& clock, metrics::Registry& registry);

  Status admit(std::size_t core, invocations::Invocation& invocation) override;
  void observe(std::size_t core, const invocations::Invocation& invocation,
               const invocations::Outcome& outcome) override;

 private:
  const PlanService& plans_;
  UsageMeter& meter_;
  const Clock& clock_;
  metrics::Counter& refused_;
};

}  // namespace bulkhead::plans
