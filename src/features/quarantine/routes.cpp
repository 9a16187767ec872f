#include "features/quarantine/routes.h"

#include "features/access/request_input.h"

namespace bulkhead::quarantine {
namespace {

class Handlers {
 public:
  explicit Handlers(QuarantineRoom room) : room_(room) {}

  Task<Result<net::Response>> list(access::RouteContext& context);
  Task<Result<net::Response>> release(access::RouteContext& context);

 private:
  Task<Result<TenantScope>> scope_of(access::RouteContext& context, std::string_view permission) {
    BH_CO_TRY(const TenantId tenant, co_await room_.tenants.resolve(context));
    co_return room_.authorizer.authorize(context, permission, tenant);
  }
  QuarantineRoom room_;
};

Task<Result<net::Response>> Handlers::list(access::RouteContext& context) {
  std::optional<TenantScope> scope;
  if (context.principal->tenant || context.request.headers.find("x-tenant-id")) {
    BH_CO_TRY(scope, co_await scope_of(context, "extension:read"));
  } else {
    BH_CO_TRY_VOID(room_.authorizer.authorize_platform(context, "extension:read"));
  }
  BH_CO_TRY(const auto found, co_await room_.quarantines.list(scope));
  json::array items;
  for (const Quarantine& quarantine : found) items.push_back(to_json(quarantine));
  co_return net::Response::json(200, json::object{{"items", std::move(items)}});
}

Task<Result<net::Response>> Handlers::release(access::RouteContext& context) {
  BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:install"));
  const auto install = InstallId::parse(context.param("install"));
  if (!install) co_return fail(ErrorCode::kNotFound, "The install is not quarantined.");
  BH_CO_TRY(const Quarantine released, co_await room_.quarantines.release(context.actor(), scope, *install));
  co_return net::Response::json(200, json::object{{"released", to_json(released)}});
}

using Act = Task<Result<net::Response>> (Handlers::*)(access::RouteContext&);

// Named, so that its parameters live in its own frame.
Task<net::Response> answer(std::shared_ptr<Handlers> handlers, Act act, access::RouteContext& context) {
  auto response = co_await (handlers.get()->*act)(context);
  if (!response) co_return access::problem_response(response.error(), context);
  co_return std::move(*response);
}

}  // namespace

access::Routes quarantine_routes(QuarantineRoom room) {
  const auto handlers = std::make_shared<Handlers>(room);
  const auto route = [&](net::Method method, std::string pattern, std::string_view permission, std::string_view summary,
                         Act act) {
    access::Route row;
    row.method = method;
    row.pattern = std::move(pattern);
    row.access = access::Route::Permission{permission};
    row.limit = net::is_safe(method) ? access::LimitClass::kRead : access::LimitClass::kWrite;
    row.summary = summary;
    row.handler = [handlers, act](access::RouteContext& context) { return answer(handlers, act, context); };
    return row;
  };
  return {route(net::Method::kGet, "/api/v1/quarantine", "extension:read", "Installs that are quarantined, and why.",
                &Handlers::list),
          route(net::Method::kPost, "/api/v1/quarantine/:install/release", "extension:install",
                "Ends the quarantine of an install.", &Handlers::release)};
}

}  // namespace bulkhead::quarantine
