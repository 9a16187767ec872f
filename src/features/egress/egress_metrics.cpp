#include "features/egress/egress_metrics.h"

namespace bulkhead::egress {
namespace {

constexpr std::array<std::string_view, 8> kResults = {"ok",      "denied",    "invalid",        "not_found",
                                                      "timeout", "too_large", "upstream_error", "quota"};

std::string_view result_of(protocol::HostCode code) {
  switch (code) {
    case protocol::HostCode::kOk:
      return "ok";
    case protocol::HostCode::kDenied:
      return "denied";
    case protocol::HostCode::kInvalid:
      return "invalid";
    case protocol::HostCode::kNotFound:
      return "not_found";
    case protocol::HostCode::kTimeout:
      return "timeout";
    case protocol::HostCode::kTooLarge:
      return "too_large";
    case protocol::HostCode::kQuota:
      return "quota";
    case protocol::HostCode::kConflict:
    case protocol::HostCode::kInternal:
      break;
  }
  return "upstream_error";
}

double seconds(Micros time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

EgressMetrics::EgressMetrics(metrics::Registry& registry)
    : bytes_(registry.counter("egress_bytes_total", "Bytes of http.fetch, sent and received, heads included.")),
      breakers_opened_(registry.counter("egress_breakers_opened_total", "Circuit breakers of upstreams that opened.")),
      seconds_(registry.histogram("egress_request_seconds", "Time of http.fetch, redirects included.",
                                  metrics::latency_bounds())) {
  for (const auto result : kResults) {
    results_[result] =
        &registry.counter("egress_requests_total", "Calls of http.fetch by result.", {{"result", std::string(result)}});
  }
  for (const auto reason : kDenialReasons) {
    refused_[reason] = &registry.counter("egress_refused_total", "Denied calls of http.fetch by class of reason.",
                                         {{"reason", std::string(reason)}});
  }
}

void EgressMetrics::answered(Micros took) {
  results_.at("ok")->add();
  seconds_.observe(seconds(took));
}

void EgressMetrics::failed(const FetchFailure& failure, Micros took) {
  results_.at(result_of(failure.code))->add();
  if (const auto reason = refused_.find(failure.reason); reason != refused_.end()) reason->second->add();
  seconds_.observe(seconds(took));
}

}  // namespace bulkhead::egress
