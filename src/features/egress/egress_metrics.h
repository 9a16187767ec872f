// The counters of http.fetch. Thread-safe, like the metrics themselves.
#pragma once

#include <map>

#include "features/egress/fetch_failure.h"
#include "platform/observe/metrics.h"

namespace bulkhead::egress {

class EgressMetrics {
 public:
  explicit EgressMetrics(metrics::Registry& registry);

  void answered(Micros took);
  void failed(const FetchFailure& failure, Micros took);
  void bytes(std::uint64_t count) { bytes_.add(count); }
  void breaker_opened() { breakers_opened_.add(); }

 private:
  std::map<std::string_view, metrics::Counter*> results_;  // by "ok" or a failure's result
  std::map<std::string_view, metrics::Counter*> refused_;  // by reason
  metrics::Counter& bytes_;
  metrics::Counter& breakers_opened_;
  metrics::Histogram& seconds_;
};

}  // namespace bulkhead::egress
