#include "features/access/routes.h"

#include <charconv>

#include "features/access/audit.h"
#include "features/access/request_input.h"

namespace bulkhead::access {
namespace {

constexpr std::int64_t kDefaultOverlapSeconds = 24 * 3600;

net::Response json_answer(int status, const json::value& value) {
  net::Response response = net::Response::json(status, value);
  response.headers.set("cache-control", "no-store");
  return response;
}

json::object to_json(const Organization& organization) {
  return {{"id", organization.id.to_string()},
          {"slug", organization.slug},
          {"name", organization.name},
          {"created_at", to_rfc3339(organization.created_at)},
          {"updated_at", to_rfc3339(organization.updated_at)}};
}

json::value optional_time(const std::optional<UtcMicros>& time) {
  return time ? json::value(to_rfc3339(*time)) : json::value(nullptr);
}

json::object to_json(const ApiKeyRecord& record, UtcMicros now) {
  json::object object = {{"id", record.id.to_string()},
                         {"name", record.name},
                         {"hint", record.hint},
                         {"status", status_of(record, now)},
                         {"role", record.role},
                         {"scopes", nullptr},
                         {"ip_allowlist", json::array(record.ip_allowlist.begin(), record.ip_allowlist.end())},
                         {"created_by", record.created_by},
                         {"created_at", to_rfc3339(record.created_at)},
                         {"expires_at", optional_time(record.expires_at)},
                         {"revoked_at", optional_time(record.revoked_at)},
                         {"last_used_at", optional_time(record.last_used_at)},
                         {"rotated_from", nullptr}};
  if (record.scopes) object["scopes"] = json::array(record.scopes->begin(), record.scopes->end());
  if (record.rotated_from) object["rotated_from"] = record.rotated_from->to_string();
  return object;
}

net::Response organization_answer(int status, const Organization& organization) {
  net::Response response = json_answer(status, to_json(organization));
  response.headers.set("etag", etag_of(organization.revision));
  return response;
}

net::Response issued_answer(const IssuedApiKey& issued, UtcMicros now) {
  json::object object = to_json(issued.record, now);
  object["key"] = issued.text;
  return json_answer(201, object);
}

template <typename T>
bool trim_to(std::vector<T>& items, std::size_t limit) {
  const bool has_more = items.size() > limit;
  if (has_more) items.resize(limit);
  return has_more;
}

Result<std::pair<std::string, std::string>> read_new_organization(const net::Request& request) {
  BH_TRY(const json::value body, json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  const auto slug = reader.required_string("slug");
  const auto name = reader.required_string("name");
  reader.refuse_unknown();
  BH_TRY_VOID(check_problems(std::move(problems)));
  return std::pair{*slug, *name};
}

Result<std::string> read_new_name(const net::Request& request) {
  BH_TRY(const json::value body, json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  const auto name = reader.required_string("name");
  reader.refuse_unknown();
  BH_TRY_VOID(check_problems(std::move(problems)));
  return *name;
}

Result<NewApiKey> read_new_key(const net::Request& request) {
  BH_TRY(const json::value body, json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  NewApiKey wanted;
  wanted.name = reader.required_string("name").value_or("");
  wanted.role = reader.required_string("role").value_or("");
  const json::value* scopes = body.is_object() ? body.get_object().if_contains("scopes") : nullptr;
  auto texts = reader.optional_strings("scopes");
  if (scopes != nullptr) wanted.scopes = std::move(texts);
  wanted.ip_allowlist = reader.optional_strings("ip_allowlist");
  if (const auto text = reader.optional_string("expires_at")) {
    wanted.expires_at = parse_rfc3339(*text);
    if (!wanted.expires_at) reader.problem("expires_at", "must be a time such as 2027-01-31T00:00:00Z");
  }
  reader.refuse_unknown();
  BH_TRY_VOID(check_problems(std::move(problems)));
  return wanted;
}

Result<std::chrono::seconds> read_overlap(const net::Request& request) {
  BH_TRY(const json::value body, json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  const auto seconds = reader.optional_integer("overlap_seconds", 0, ApiKeyService::kLongestOverlap.count());
  reader.refuse_unknown();
  BH_TRY_VOID(check_problems(std::move(problems)));
  return std::chrono::seconds(seconds.value_or(kDefaultOverlapSeconds));
}

class Handlers {
 public:
  explicit Handlers(AccessRoom room) : room_(room) {}

  Task<Result<net::Response>> create_organization(RouteContext& context) {
    BH_CO_TRY_VOID(room_.authorizer.authorize_platform(context, "organization:create"));
    BH_CO_TRY(auto wanted, read_new_organization(context.request));
    BH_CO_TRY(const Organization made,
              co_await room_.organizations.create(context.actor(), std::move(wanted.first), std::move(wanted.second)));
    net::Response response = organization_answer(201, made);
    response.headers.set("location", "/api/v1/orgs/" + made.slug);
    co_return response;
  }

  // The platform's operators see all; everybody else exactly their own.
  Task<Result<net::Response>> list_organizations(RouteContext& context) {
    BH_CO_TRY(const Page page, page_of(context.request));
    std::vector<Organization> found;
    if (context.principal->tenant) {
      BH_CO_TRY(const TenantScope scope,
                room_.authorizer.authorize(context, "organization:read", *context.principal->tenant));
      BH_CO_TRY(Organization own, co_await room_.organizations.find(scope.tenant().to_string()));
      found.push_back(std::move(own));
    } else {
      BH_CO_TRY_VOID(room_.authorizer.authorize_platform(context, "organization:read"));
      BH_CO_TRY(found, co_await room_.organizations.list(page.after, page.limit + 1));
    }
    const bool has_more = trim_to(found, page.limit);
    json::array items;
    for (const Organization& organization : found) items.push_back(to_json(organization));
    co_return json_answer(200, page_json(std::move(items), has_more, found.empty() ? "" : found.back().slug));
  }

  Task<Result<net::Response>> get_organization(RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "organization:read"));
    BH_CO_TRY(const Organization found, co_await room_.organizations.find(scope.tenant().to_string()));
    co_return organization_answer(200, found);
  }

  Task<Result<net::Response>> rename_organization(RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "organization:update"));
    BH_CO_TRY(const auto revision, if_match(context.request));
    BH_CO_TRY(std::string name, read_new_name(context.request));
    BH_CO_TRY(const Organization renamed,
              co_await room_.organizations.rename(context.actor(), scope, std::move(name), revision));
    co_return organization_answer(200, renamed);
  }

  Task<Result<net::Response>> create_key(RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "key:create"));
    BH_CO_TRY(NewApiKey wanted, read_new_key(context.request));
    BH_CO_TRY(const IssuedApiKey issued,
              co_await room_.api_keys.create(context.actor(), context.principal, scope, std::move(wanted)));
    co_return issued_answer(issued, room_.clock.now());
  }

  Task<Result<net::Response>> list_keys(RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "key:read"));
    BH_CO_TRY(const Page page, page_of(context.request));
    BH_CO_TRY(auto found, co_await room_.api_keys.list(scope, page.after, page.limit + 1));
    const bool has_more = trim_to(found, page.limit);
    json::array items;
    for (const ApiKeyRecord& record : found) items.push_back(to_json(record, room_.clock.now()));
    co_return json_answer(200, page_json(std::move(items), has_more, found.empty() ? "" : found.back().id.to_string()));
  }

  Task<Result<net::Response>> rotate_key(RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "key:rotate"));
    BH_CO_TRY(const ApiKeyId id, key_id(context));
    BH_CO_TRY(const auto overlap, read_overlap(context.request));
    BH_CO_TRY(const IssuedApiKey issued,
              co_await room_.api_keys.rotate(context.actor(), context.principal, scope, id, overlap));
    co_return issued_answer(issued, room_.clock.now());
  }

  Task<Result<net::Response>> revoke_key(RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "key:revoke"));
    BH_CO_TRY(const ApiKeyId id, key_id(context));
    BH_CO_TRY(const ApiKeyRecord revoked, co_await room_.api_keys.revoke(context.actor(), scope, id));
    co_return json_answer(200, to_json(revoked, room_.clock.now()));
  }

  Task<Result<net::Response>> list_audit_rows(RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "audit:read"));
    BH_CO_TRY(const Page page, page_of(context.request));
    std::optional<std::int64_t> before;
    if (!page.after.empty()) {
      std::int64_t seq = 0;
      const auto [end, error] = std::from_chars(page.after.data(), page.after.data() + page.after.size(), seq);
      if (error != std::errc{} || end != page.after.data() + page.after.size()) {
        co_return fail(ErrorCode::kBadRequest, "cursor must be the next_cursor of an earlier answer.");
      }
      before = seq;
    }
    BH_CO_TRY(auto found, co_await room_.database.read(scope, [before, limit = page.limit + 1](sql::TenantTx& tx) {
      return list_audit(tx, before, limit);
    }));
    const bool has_more = trim_to(found, page.limit);
    json::array items;
    for (const AuditRow& row : found) items.push_back(access::to_json(row));
    co_return json_answer(200,
                          page_json(std::move(items), has_more, found.empty() ? "" : std::to_string(found.back().seq)));
  }

  Task<Result<net::Response>> who_am_i(RouteContext& context) {
    const Principal& principal = *context.principal;
    json::object object = {{"kind", kind_name(principal.kind)},
                           {"credential_id", principal.credential_id},
                           {"organization", nullptr},
                           {"permissions", json::array(principal.permissions.begin(), principal.permissions.end())}};
    if (principal.tenant) {
      object["organization"] = {{"id", principal.tenant->to_string()}, {"slug", principal.tenant_slug}};
    }
    co_return json_answer(200, object);
  }

 private:
  static std::string_view kind_name(PrincipalKind kind) {
    switch (kind) {
      case PrincipalKind::kAnonymous:
        return "anonymous";
      case PrincipalKind::kApiKey:
        return "api_key";
      case PrincipalKind::kPlatformAdmin:
        return "platform_admin";
      case PrincipalKind::kService:
        return "service";
    }
    return "unknown";
  }

  static Result<ApiKeyId> key_id(const RouteContext& context) {
    const auto id = ApiKeyId::parse(context.param("id"));
    if (!id) return fail(ErrorCode::kNotFound, "There is no such API key in this organization.");
    return *id;
  }

  Task<Result<TenantScope>> scope_of(RouteContext& context, std::string_view permission) {
    BH_CO_TRY(const TenantId tenant, co_await room_.tenants.resolve_named(context, context.param("slug")));
    co_return room_.authorizer.authorize(context, permission, tenant, OtherTenant::kNotFound);
  }

  AccessRoom room_;
};

using Act = Task<Result<net::Response>> (Handlers::*)(RouteContext&);

// Named, so that its parameters live in its own frame.
Task<net::Response> answer(std::shared_ptr<Handlers> handlers, Act act, RouteContext& context) {
  auto response = co_await (handlers.get()->*act)(context);
  if (!response) co_return problem_response(response.error(), context);
  co_return std::move(*response);
}

}  // namespace

Routes access_routes(AccessRoom room) {
  using net::Method;
  const auto handlers = std::make_shared<Handlers>(room);
  Routes routes;
  const auto add = [&](Method method, std::string pattern, std::string_view permission, std::string_view summary,
                       Act act) {
    routes.push_back({.method = method,
                      .pattern = std::move(pattern),
                      .access = Route::Permission{permission},
                      .limit = net::is_safe(method) ? LimitClass::kRead : LimitClass::kWrite,
                      .body = {},
                      .summary = summary,
                      .handler = [handlers, act](RouteContext& context) { return answer(handlers, act, context); }});
  };
  const std::string org = "/api/v1/orgs/:slug";
  add(Method::kPost, "/api/v1/orgs", "organization:create", "Create an organization", &Handlers::create_organization);
  add(Method::kGet, "/api/v1/orgs", "organization:read", "List organizations", &Handlers::list_organizations);
  add(Method::kGet, org, "organization:read", "Get an organization", &Handlers::get_organization);
  add(Method::kPatch, org, "organization:update", "Rename an organization", &Handlers::rename_organization);
  add(Method::kPost, org + "/api-keys", "key:create", "Create an API key; its text is shown once",
      &Handlers::create_key);
  add(Method::kGet, org + "/api-keys", "key:read", "List API keys", &Handlers::list_keys);
  add(Method::kPost, org + "/api-keys/:id/rotate", "key:rotate", "Replace an API key, with an overlap window",
      &Handlers::rotate_key);
  add(Method::kPost, org + "/api-keys/:id/revoke", "key:revoke", "Revoke an API key at once", &Handlers::revoke_key);
  add(Method::kGet, org + "/audit", "audit:read", "List the audit log, newest first", &Handlers::list_audit_rows);
  add(Method::kGet, "/api/v1/me", "any", "Who the credential belongs to", &Handlers::who_am_i);
  return routes;
}

}  // namespace bulkhead::access
