#include "features/extension_metrics/routes.h"

#include "features/access/request_input.h"

namespace bulkhead::extension_metrics {
namespace {

// What the table holds is not bound to a tenant: the install's own decides.
Task<Result<net::Response>> show(MetricsRoom room, access::RouteContext& context) {
  BH_CO_TRY(const TenantId tenant, co_await room.tenants.resolve(context));
  BH_CO_TRY_VOID(room.authorizer.authorize(context, "execution:read", tenant));
  const auto id = InstallId::parse(context.param("id"));
  if (!id) co_return fail(ErrorCode::kNotFound, "There is no such install.");
  BH_CO_TRY(const auto install, co_await room.installs.find_install(*id));
  if (!install || install->tenant_id != tenant) co_return fail(ErrorCode::kNotFound, "There is no such install.");
  const auto accept = context.request.headers.find("accept");
  if (accept && accept->find("text/plain") != std::string_view::npos) {
    co_return net::Response::text(200, "text/plain; version=0.0.4; charset=utf-8", room.table.text(*id));
  }
  co_return net::Response::json(200, json::object{{"items", room.table.series(*id)}});
}

// Named, so that its parameters live in its own frame.
Task<net::Response> answer(MetricsRoom room, access::RouteContext& context) {
  auto response = co_await show(room, context);
  if (!response) co_return access::problem_response(response.error(), context);
  co_return std::move(*response);
}

}  // namespace

access::Routes metric_routes(MetricsRoom room) {
  access::Route row;
  row.method = net::Method::kGet;
  row.pattern = "/api/installs/:id/metrics/custom";
  row.access = access::Route::Permission{"execution:read"};
  row.summary = "What an install's extension has counted with metrics.*; JSON or Prometheus text.";
  row.handler = [room](access::RouteContext& context) { return answer(room, context); };
  return {std::move(row)};
}

}  // namespace bulkhead::extension_metrics
