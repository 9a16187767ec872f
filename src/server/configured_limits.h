// What the configuration says of limits, as the rooms take it. Pure.
#pragma once

#include "features/guard/rate_limiter.h"
#include "features/quarantine/call_policy.h"
#include "server/config.h"

namespace bulkhead::server {

// The built-in limits, each class scaled so that a key's rate is the configured one.
guard::RateLimits configured_rate_limits(const Config& config);
quarantine::CallPolicyOptions call_policy_options(const Config& config);

}  // namespace bulkhead::server
