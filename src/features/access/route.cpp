#include "features/access/route.h"

#include <algorithm>

namespace bulkhead::access {

std::string_view to_string(LimitClass limit) {
  switch (limit) {
    case LimitClass::kAuth:
      return "auth";
    case LimitClass::kRead:
      return "read";
    case LimitClass::kWrite:
      return "write";
    case LimitClass::kExecute:
      return "execute";
    case LimitClass::kUpload:
      return "upload";
    case LimitClass::kInternal:
      return "internal";
  }
  return "unknown";
}

const std::string& RouteContext::param(std::string_view name) const {
  const auto found = std::ranges::find(params, name, &std::pair<std::string, std::string>::first);
  BH_ASSERT(found != params.end());
  return found->second;
}

Status RouteContext::admit() {
  if (admission_port == nullptr) return {};
  admission = admission_port->admit(limit, {client, local_socket}, *principal);
  if (admission.allowed) return {};
  Error error = fail(ErrorCode::kRateLimited).error();
  error.retry_after_ms = admission.retry_after.count();
  return fail(std::move(error));
}

Actor RouteContext::actor() const {
  return {principal->credential_id, local_socket ? "local" : client.to_string(), request_id};
}

}  // namespace bulkhead::access
