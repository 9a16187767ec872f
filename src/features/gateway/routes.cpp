#include "features/gateway/routes.h"

namespace bulkhead::gateway {

access::Routes gateway_routes(GatewayService& service) {
  access::Routes routes;
  for (const net::Method method : {net::Method::kGet, net::Method::kPost, net::Method::kPut, net::Method::kPatch,
                                   net::Method::kDelete, net::Method::kHead, net::Method::kOptions}) {
    access::Route route;
    route.method = method;
    route.pattern = "/api/ext/:extension/*path";
    // The endpoint says which permission; it is known once the endpoint is.
    route.access = access::Route::Permission{"any"};
    route.limit = access::LimitClass::kExecute;
    route.admit = access::Admit::kByHandler;
    // Read, and refused beyond kMaxRequestBody, by the handler: the checks that come before 413 are its own.
    route.body = {.mode = net::BodyPlan::Mode::kStreamed, .limit = 1_GiB};
    route.summary = "Call an extension's endpoint.";
    route.handler = [&service](access::RouteContext& context) { return service.handle(context); };
    routes.push_back(std::move(route));
  }
  return routes;
}

}  // namespace bulkhead::gateway
