#include "features/invocations/policy_chain.h"

namespace bulkhead::invocations {

Status PolicyChain::admit(std::size_t core, Invocation& invocation) {
  for (std::size_t i = 0; i < policies_.size(); ++i) {
    Status admitted = policies_[i]->admit(core, invocation);
    if (admitted) continue;
    const Outcome refused{
        .id = {},
        .started_at = {},
        .ended_at = {},
        .answer = std::unexpected(runners::DispatchFailure{.error = admitted.error(), .dispatched = false}),
        .status = executions::ExecutionStatus::kPolicyDenied,
        .fate = Fate::kNeverStarted};
    while (i-- > 0) policies_[i]->observe(core, invocation, refused);
    return admitted;
  }
  return {};
}

void PolicyChain::observe(std::size_t core, const Invocation& invocation, const Outcome& outcome) {
  for (InvocationPolicy* policy : policies_) policy->observe(core, invocation, outcome);
}

}  // namespace bulkhead::invocations
