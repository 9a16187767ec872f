#include "features/extensions/route_handlers.h"

namespace bulkhead::extensions {

net::Response json_answer(int status, const json::value& value) {
  net::Response response = net::Response::json(status, value);
  response.headers.set("cache-control", "no-store");
  return response;
}

Task<Result<TenantScope>> RoomHandlers::scope_of(access::RouteContext& context, std::string_view permission) {
  BH_CO_TRY(const TenantId tenant, co_await room_.tenants.resolve(context));
  co_return room_.authorizer.authorize(context, permission, tenant);
}

Task<Result<std::optional<TenantScope>>> RoomHandlers::optional_scope_of(access::RouteContext& context,
                                                                         std::string_view permission) {
  if (!context.principal->tenant && !context.request.headers.find("x-tenant-id")) co_return std::nullopt;
  BH_CO_TRY(const TenantScope scope, co_await scope_of(context, permission));
  co_return scope;
}

Task<Result<Viewer>> RoomHandlers::viewer_of(access::RouteContext& context) {
  BH_CO_TRY(const auto scope, co_await optional_scope_of(context, "extension:read"));
  if (scope) co_return Viewer{scope->tenant()};
  BH_CO_TRY_VOID(room_.authorizer.authorize_platform(context, "extension:read"));
  co_return Viewer{};
}

Task<Result<ReceivedUpload>> RoomHandlers::receive(access::RouteContext& context) {
  BH_ASSERT(context.request.stream != nullptr);  // the route's body plan
  co_return co_await room_.staging.receive(*context.request.stream, kMaxUpload, room_.pool);
}

std::optional<std::string> optional_query(const access::RouteContext& context, std::string_view name) {
  const auto query = net::parse_query(context.request.query());
  return query ? net::query_value(*query, name) : std::nullopt;
}

Result<std::string> required_query(const access::RouteContext& context, std::string_view name) {
  auto value = optional_query(context, name);
  if (!value || value->empty()) {
    return fail(ErrorCode::kMissingParameter, "The parameter " + std::string(name) + " is missing.");
  }
  return std::move(*value);
}

access::Routes extension_routes(ExtensionsRoom room) {
  access::Routes all;
  for (access::Routes part :
       {registry_routes(room), install_routes(room), trust_routes(room), author_cli_routes(room)}) {
    for (access::Route& route : part) all.push_back(std::move(route));
  }
  return all;
}

}  // namespace bulkhead::extensions
