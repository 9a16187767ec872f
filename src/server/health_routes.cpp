#include "server/health_routes.h"

#include <algorithm>
#include <cstdlib>

#include "server/version.h"

namespace bulkhead::server {
namespace {

json::object check_result(const Status& status) {
  if (status) return {{"ok", true}};
  // The reason's class only: details are for the log.
  return {{"ok", false}, {"code", status.error().wire_code()}};
}

// Which walls hold (protocol/sandbox_layers.h). Runners said so before their first guest ran, which is why they are
// believed.
json::object sandbox_of(const HealthDependencies& dependencies) {
  json::array runners;
  for (const std::string& text : dependencies.runners.healths()) {
    auto health = parse_json(text);
    if (!health || !health->is_object()) continue;
    if (json::value* layers = health->get_object().if_contains("sandbox")) runners.push_back(std::move(*layers));
  }
  auto compiler = parse_json(dependencies.compiler_sandbox);
  return {{"runners", std::move(runners)}, {"compiler", compiler ? std::move(*compiler) : json::value(nullptr)}};
}

Task<net::Response> health(HealthDependencies dependencies) {
  const auto rows = co_await dependencies.database.system_read(
      [](sql::SystemTx& tx) -> Result<sql::Rows> { return tx.query("SELECT 1"); });
  const Status database = rows ? Status() : fail(rows.error());
  const Status blobs = co_await dependencies.blobs.check();
  const std::size_t up = dependencies.runners.pids().size();
  const bool runners_up = up >= dependencies.wanted_runners;
  const bool healthy = database && blobs && runners_up;
  json::object body{{"status", healthy ? "ok" : "degraded"},
                    {"version", kVersion},
                    {"checks",
                     {{"database", check_result(database)},
                      {"blobs", check_result(blobs)},
                      {"runners", {{"ok", runners_up}, {"up", up}, {"wanted", dependencies.wanted_runners}}}}},
                    {"sandbox", sandbox_of(dependencies)}};
  net::Response response = net::Response::json(healthy ? 200 : 503, body);
  response.headers.set("cache-control", "no-store");
  co_return response;
}

Task<net::Response> metrics_text(HealthDependencies dependencies, access::RouteContext& context) {
  if (auto allowed = dependencies.authorizer.authorize_platform(context, "ops:read"); !allowed) {
    co_return net::problem(allowed.error(), context.request_id);
  }
  co_return net::Response::text(200, "text/plain; version=0.0.4; charset=utf-8", dependencies.registry.render());
}

// The counters that an operator looks at first, as JSON.
Task<net::Response> stats(HealthDependencies dependencies, access::RouteContext& context) {
  if (auto allowed = dependencies.authorizer.authorize_platform(context, "ops:read"); !allowed) {
    co_return net::problem(allowed.error(), context.request_id);
  }
  json::object counters;
  const std::string text = dependencies.registry.render();
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t space = line.rfind(' ');
    if (line.starts_with('#') || space == std::string_view::npos || line.find("_bucket{") != std::string_view::npos) {
      continue;
    }
    counters[line.substr(0, space)] = std::strtod(std::string(line.substr(space + 1)).c_str(), nullptr);
  }
  co_return net::Response::json(200, json::object{{"counters", std::move(counters)}});
}

}  // namespace

access::Routes health_routes(HealthDependencies dependencies) {
  access::Routes routes;
  const auto add = [&](std::string pattern, auto access, std::string_view summary,
                       std::function<Task<net::Response>(access::RouteContext&)> handler) {
    access::Route route;
    route.method = net::Method::kGet;
    route.pattern = std::move(pattern);
    route.access = access;
    route.limit = access::LimitClass::kInternal;
    route.summary = summary;
    route.handler = std::move(handler);
    routes.push_back(std::move(route));
  };
  const access::Route::Public probe{"load balancers and orchestrators probe it without a credential"};
  const access::Route::Permission operators{"ops:read"};
  add("/healthz", probe, "Whether database, blob store and runners are there.",
      [dependencies](access::RouteContext&) { return health(dependencies); });
  add("/readyz", probe, "Whether this node should get requests.",
      [dependencies](access::RouteContext&) { return health(dependencies); });
  add("/metrics", operators, "Metrics in the Prometheus text format.",
      [dependencies](access::RouteContext& context) { return metrics_text(dependencies, context); });
  add("/api/v1/internal/stats", operators, "Counters as JSON.",
      [dependencies](access::RouteContext& context) { return stats(dependencies, context); });
  return routes;
}

}  // namespace bulkhead::server
