// /api/v1/trust: who may sign which names. The platform's entries without an organization, an organization's own with
// one.
#include "features/extensions/records_json.h"
#include "features/extensions/route_handlers.h"

namespace bulkhead::extensions {
namespace {

Result<TrustService::NewEntry> read_new_entry(const net::Request& request) {
  BH_TRY(const json::value body, access::json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  TrustService::NewEntry entry;
  entry.pem = reader.required_string("pem").value_or("");
  entry.prefixes = reader.optional_strings("prefixes");
  entry.label = reader.optional_string("label").value_or("");
  reader.refuse_unknown();
  BH_TRY_VOID(access::check_problems(std::move(problems)));
  return entry;
}

class TrustHandlers : public RoomHandlers {
 public:
  using RoomHandlers::RoomHandlers;

  Task<Result<net::Response>> list(access::RouteContext& context) {
    BH_CO_TRY(const auto scope, co_await trust_scope(context, "extension:read", "ops:read"));
    BH_CO_TRY(const auto found, co_await room_.trust.list(scope));
    json::array items;
    for (const TrustRecord& record : found) items.push_back(trust_json(record));
    co_return json_answer(200, access::page_json(std::move(items), false, ""));
  }

  Task<Result<net::Response>> add(access::RouteContext& context) {
    BH_CO_TRY(const auto scope, co_await trust_scope(context, "policy:write", "ops:write"));
    BH_CO_TRY(TrustService::NewEntry entry, read_new_entry(context.request));
    BH_CO_TRY(const TrustRecord added, co_await room_.trust.add(context.actor(), scope, std::move(entry)));
    co_return json_answer(201, trust_json(added));
  }

  Task<Result<net::Response>> revoke(access::RouteContext& context) {
    BH_CO_TRY(const auto scope, co_await trust_scope(context, "policy:write", "ops:write"));
    const auto id = TrustEntryId::parse(context.param("id"));
    if (!id) co_return fail(ErrorCode::kNotFound, "There is no such trust entry.");
    BH_CO_TRY_VOID(co_await room_.trust.revoke(context.actor(), scope, *id));
    co_return net::Response::empty(204);
  }

 private:
  Task<Result<std::optional<TenantScope>>> trust_scope(access::RouteContext& context, std::string_view own_permission,
                                                       std::string_view platform_permission) {
    BH_CO_TRY(const auto scope, co_await optional_scope_of(context, own_permission));
    if (!scope) BH_CO_TRY_VOID(room_.authorizer.authorize_platform(context, platform_permission));
    co_return scope;
  }
};

}  // namespace

access::Routes trust_routes(ExtensionsRoom room) {
  using net::Method;
  using Handlers = TrustHandlers;
  RouteList<Handlers> routes(room);
  routes.add({Method::kGet, "/api/v1/trust", "extension:read", "List trusted keys and CAs"}, &Handlers::list);
  routes.add({Method::kPost, "/api/v1/trust", "policy:write", "Trust a key or CA for name prefixes"}, &Handlers::add);
  routes.add({Method::kDelete, "/api/v1/trust/:id", "policy:write", "Revoke a trust entry and its key"},
             &Handlers::revoke);
  return routes.take();
}

}  // namespace bulkhead::extensions
