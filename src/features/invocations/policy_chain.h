// PolicyChain: several policies as one. A call is admitted when all admit it, in their order; those that had admitted a
// call which a later one refuses observe that it never started.
#pragma once

#include <vector>

#include "features/invocations/invoker.h"

namespace bulkhead::invocations {

class PolicyChain final : public InvocationPolicy {
 public:
  // They outlive it.
  explicit PolicyChain(std::vector<InvocationPolicy*> policies) : policies_(std::move(policies)) {}

  Status admit(std::size_t core, Invocation& invocation) override;
  void observe(std::size_t core, const Invocation& invocation, const Outcome& outcome) override;

 private:
  std::vector<InvocationPolicy*> policies_;
};

}  // namespace bulkhead::invocations
