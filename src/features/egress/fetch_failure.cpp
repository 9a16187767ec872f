#include "features/egress/fetch_failure.h"

#include <algorithm>

#include "base/json.h"

namespace bulkhead::egress {

using protocol::HostCode;

std::unexpected<FetchFailure> invalid(std::string message) {
  return std::unexpected(
      FetchFailure{.code = HostCode::kInvalid, .name = "invalid_request", .message = std::move(message)});
}

std::unexpected<FetchFailure> denied(std::string_view reason, std::string message) {
  const auto* known = std::ranges::find(kDenialReasons, reason);
  return std::unexpected(FetchFailure{.code = HostCode::kDenied,
                                      .name = "capability_denied",
                                      .message = std::move(message),
                                      .reason = known == kDenialReasons.end() ? "address" : *known});
}

std::unexpected<FetchFailure> upstream_error(std::string message) {
  return std::unexpected(
      FetchFailure{.code = HostCode::kInternal, .name = "upstream_error", .message = std::move(message)});
}

protocol::HostResult to_host_result(const FetchFailure& failure) {
  json::object error{{"code", failure.name}, {"message", failure.message}};
  if (!failure.reason.empty()) error["reason"] = failure.reason;
  if (failure.retry_after > Millis(0)) error["retry_after_ms"] = failure.retry_after.count();
  return {failure.code, json::serialize(json::value{{"error", std::move(error)}})};
}

}  // namespace bulkhead::egress
