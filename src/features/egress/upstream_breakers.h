// UpstreamBreakers: a circuit breaker for each (install, upstream host and port), so that a host that is down costs an
// extension's callers milliseconds instead of time-outs, and so that one install's trouble is not another's.
//
// Bounded: breakers that hold no information are forgotten when there are too many; if all hold some, new upstreams go
// without one. One per core, used on its thread only: each core finds out for itself.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "base/ids.h"
#include "features/guard/circuit_breaker.h"

namespace bulkhead::egress {

class UpstreamBreakers {
 public:
  UpstreamBreakers(const guard::CircuitBreakerOptions& options, std::size_t most, const Clock& clock, Random& random)
      : options_(options), most_(most), clock_(clock), random_(random) {}

  // null where there is no room for one more. Valid until the next call.
  guard::CircuitBreaker* find(const InstallId& install, std::string_view authority);
  std::size_t size() const { return breakers_.size(); }

 private:
  guard::CircuitBreakerOptions options_;
  std::size_t most_;
  const Clock& clock_;
  Random& random_;
  std::unordered_map<std::string, guard::CircuitBreaker> breakers_;
};

}  // namespace bulkhead::egress
