#include "features/gateway/client_response.h"

#include "features/gateway/header_policy.h"

namespace bulkhead::gateway {
namespace {

bool may_have_body(int status) { return status >= 200 && status != 204 && status != 205 && status != 304; }

}  // namespace

net::Response client_response(protocol::ExecuteResponse& answer, std::string_view request_id) {
  if (answer.error) {
    net::Response refused = net::problem(*answer.error, request_id);
    add_client_headers(refused.headers, {});
    return refused;
  }
  net::Response response;
  response.status = answer.status;
  add_client_headers(response.headers, answer.headers);
  if (may_have_body(answer.status)) response.body = std::move(answer.body);
  return response;
}

}  // namespace bulkhead::gateway
