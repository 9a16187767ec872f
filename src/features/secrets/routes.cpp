#include "features/secrets/routes.h"

#include "base/json.h"
#include "features/access/request_input.h"

namespace bulkhead::secrets {
namespace {

// Room for a value of the largest size in which every character is escaped.
constexpr Bytes kMaxBody = 512_KiB;

// In lower case, without its parameters.
std::string media_type(const net::Request& request) {
  std::string type(request.headers.find("content-type").value_or(""));
  type.resize(std::min(type.find(';'), type.size()));
  while (type.ends_with(' ')) type.pop_back();
  for (char& c : type) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return type;
}

// {"value":"…"}, or the body itself as text/plain or application/octet-stream.
Result<SecretString> read_value(const net::Request& request) {
  const std::string type = media_type(request);
  if (type == "text/plain" || type == "application/octet-stream") return SecretString(request.body);
  if (type != "application/json") {
    return fail(ErrorCode::kUnsupportedMediaType, "Send the value as application/json or text/plain.");
  }
  WipingMemory memory;
  BH_TRY(const json::value body, parse_json(request.body, &memory));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  const json::value* value = reader.member("value");
  if (reader.is_object() && (value == nullptr || !value->is_string())) reader.problem("value", "must be a string");
  reader.refuse_unknown();
  BH_TRY_VOID(access::check_problems(std::move(problems)));
  return SecretString(std::string_view(value->get_string()));
}

class SecretRoutes {
 public:
  explicit SecretRoutes(RouteDependencies dependencies) : dependencies_(dependencies) {}

  Task<Result<net::Response>> put(access::RouteContext& context) {
    const WipeAtExit wiped(context.request.body);
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "secret:write"));
    BH_CO_TRY(const InstallId install, install_id(context));
    BH_CO_TRY(SecretString value, read_value(context.request));
    BH_CO_TRY_VOID(
        co_await dependencies_.secrets.put(context.actor(), scope, install, context.param("key"), std::move(value)));
    co_return net::Response::empty(204);
  }

  Task<Result<net::Response>> remove(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "secret:write"));
    BH_CO_TRY(const InstallId install, install_id(context));
    BH_CO_TRY_VOID(co_await dependencies_.secrets.remove(context.actor(), scope, install, context.param("key")));
    co_return net::Response::empty(204);
  }

  Task<Result<net::Response>> list(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:read"));
    BH_CO_TRY(const InstallId install, install_id(context));
    BH_CO_TRY(const auto found, co_await dependencies_.secrets.list(scope, install));
    json::array items;
    for (const SecretInfo& secret : found) {
      items.push_back(
          {{"key", secret.key}, {"updated_at", to_rfc3339(secret.updated_at)}, {"updated_by", secret.updated_by}});
    }
    // At most kMaxSecrets, so there is one page.
    net::Response response = net::Response::json(200, json::object{{"items", std::move(items)}});
    response.headers.set("cache-control", "no-store");
    co_return response;
  }

 private:
  Task<Result<TenantScope>> scope_of(access::RouteContext& context, std::string_view permission) {
    BH_CO_TRY(const TenantId tenant, co_await dependencies_.tenants.resolve(context));
    co_return dependencies_.authorizer.authorize(context, permission, tenant);
  }
  static Result<InstallId> install_id(const access::RouteContext& context) {
    const auto id = InstallId::parse(context.param("id"));
    if (!id) return fail(ErrorCode::kNotFound, "There is no such install.");
    return *id;
  }

  RouteDependencies dependencies_;
};

using Act = Task<Result<net::Response>> (SecretRoutes::*)(access::RouteContext&);

Task<net::Response> answer(std::shared_ptr<SecretRoutes> room, Act act, access::RouteContext& context) {
  auto response = co_await (room.get()->*act)(context);
  if (!response) co_return access::problem_response(response.error(), context);
  co_return std::move(*response);
}

}  // namespace

access::Routes secret_routes(RouteDependencies dependencies) {
  const auto room = std::make_shared<SecretRoutes>(dependencies);
  const auto route = [&](net::Method method, std::string pattern, std::string_view permission, std::string_view summary,
                         Act act) {
    return access::Route{.method = method,
                         .pattern = std::move(pattern),
                         .access = access::Route::Permission{permission},
                         .limit = net::is_safe(method) ? access::LimitClass::kRead : access::LimitClass::kWrite,
                         .body = {.limit = kMaxBody},
                         .summary = summary,
                         .handler = [room, act](access::RouteContext& context) { return answer(room, act, context); }};
  };
  const std::string all = "/api/installs/:id/secrets";
  return {route(net::Method::kGet, all, "extension:read", "Names of an install's secrets", &SecretRoutes::list),
          route(net::Method::kPut, all + "/:key", "secret:write", "Set a secret; it can't be read back",
                &SecretRoutes::put),
          route(net::Method::kDelete, all + "/:key", "secret:write", "Delete a secret", &SecretRoutes::remove)};
}

}  // namespace bulkhead::secrets
