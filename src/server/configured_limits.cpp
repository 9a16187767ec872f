#include "server/configured_limits.h"

#include <algorithm>

namespace bulkhead::server {

guard::RateLimits configured_rate_limits(const Config& config) {
  guard::RateLimits limits = guard::default_rate_limits();
  const auto scale = [&](access::LimitClass limit, std::int64_t per_second) {
    guard::ClassLimits& rates = limits.of(limit);
    if (per_second == 0) return;
    const double factor = static_cast<double>(per_second) / rates.principal.per_second;
    for (guard::Rate* rate : {&rates.address, &rates.principal, &rates.tenant}) {
      rate->per_second *= factor;
      rate->burst = std::max(1.0, rate->burst * factor);
    }
  };
  scale(access::LimitClass::kRead, config.read_per_second);
  scale(access::LimitClass::kWrite, config.write_per_second);
  scale(access::LimitClass::kExecute, config.execute_per_second);
  scale(access::LimitClass::kUpload, config.upload_per_second);
  return limits;
}

quarantine::CallPolicyOptions call_policy_options(const Config& config) {
  quarantine::CallPolicyOptions options;
  options.thresholds = {.enabled = config.quarantine,
                        .window = std::chrono::seconds(config.quarantine_window_s),
                        .traps = static_cast<std::uint32_t>(config.quarantine_traps),
                        .out_of_memory = static_cast<std::uint32_t>(config.quarantine_out_of_memory),
                        .policy_violations = static_cast<std::uint32_t>(config.quarantine_policy_violations),
                        .share = static_cast<std::uint32_t>(config.quarantine_share_percent)};
  if (config.quarantine_minutes > 0) options.quarantine_time = std::chrono::minutes(config.quarantine_minutes);
  options.breaker_enabled = config.circuit_breaker;
  return options;
}

}  // namespace bulkhead::server
