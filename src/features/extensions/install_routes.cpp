// /api/installs: installs, and the look-ups that runners and the UI host make.
#include "features/extensions/records_json.h"
#include "features/extensions/route_handlers.h"

namespace bulkhead::extensions {
namespace {

std::optional<json::value> copy_of(const json::value* member) {
  if (member == nullptr) return std::nullopt;
  return *member;
}

// The list when the member is there.
std::optional<std::vector<std::string>> strings_if_present(JsonReader& reader, const json::value& body,
                                                           std::string_view name) {
  auto texts = reader.optional_strings(name);
  if (!body.is_object() || !body.get_object().contains(name)) return std::nullopt;
  return texts;
}

Result<NewInstall> read_new_install(const net::Request& request) {
  BH_TRY(const json::value body, access::json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  NewInstall wanted;
  wanted.extension = reader.required_string("extension").value_or("");
  wanted.version = reader.optional_string("version").value_or("");
  wanted.granted_caps = reader.optional_strings("granted_caps");
  wanted.granted_egress = reader.optional_strings("granted_egress");
  wanted.config = copy_of(reader.member("config"));
  wanted.limits = copy_of(reader.member("limits"));
  reader.refuse_unknown();
  BH_TRY_VOID(access::check_problems(std::move(problems)));
  return wanted;
}

void read_rollout(JsonReader& reader, std::vector<FieldError>& problems, InstallChange& change) {
  const json::value* member = reader.member("rollout");
  if (member == nullptr) return;
  if (member->is_null()) {
    change.ends_rollout = true;
    return;
  }
  JsonReader inner(*member, problems, "/rollout");
  Rollout rollout;
  const auto percent = inner.optional_integer("percent", 0, 100);
  if (!percent && inner.is_object() && !member->get_object().contains("percent"))
    inner.problem("percent", "is required");
  rollout.percent = static_cast<int>(percent.value_or(0));
  rollout.version = inner.optional_string("version").value_or("");
  if (rollout.percent > 0 && rollout.version.empty()) inner.problem("version", "is required");
  inner.refuse_unknown();
  change.rollout = std::move(rollout);
}

Result<InstallChange> read_change(const net::Request& request) {
  BH_TRY(const json::value body, access::json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  InstallChange change;
  change.version = reader.optional_string("version");
  change.granted_caps = strings_if_present(reader, body, "granted_caps");
  change.granted_egress = strings_if_present(reader, body, "granted_egress");
  change.config = copy_of(reader.member("config"));
  change.limits = copy_of(reader.member("limits"));
  read_rollout(reader, problems, change);
  reader.refuse_unknown();
  BH_TRY_VOID(access::check_problems(std::move(problems)));
  return change;
}

Result<InstallId> install_id(const access::RouteContext& context) {
  const auto id = InstallId::parse(context.param("id"));
  if (!id) return fail(ErrorCode::kNotFound, "There is no such install.");
  return *id;
}

net::Response install_answer(int status, const InstallDetails& details) {
  net::Response response = json_answer(status, install_json(details));
  response.headers.set("etag", access::etag_of(details.install.revision));
  return response;
}

class InstallHandlers : public RoomHandlers {
 public:
  using RoomHandlers::RoomHandlers;

  Task<Result<net::Response>> create(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:install"));
    BH_CO_TRY(NewInstall wanted, read_new_install(context.request));
    BH_CO_TRY(const InstallDetails made, co_await room_.installs.create(context.actor(), scope, std::move(wanted)));
    net::Response response = install_answer(201, made);
    response.headers.set("location", "/api/installs/" + made.install.id.to_string());
    co_return response;
  }

  Task<Result<net::Response>> list(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:read"));
    BH_CO_TRY(const access::Page page, access::page_of(context.request));
    BH_CO_TRY(auto found, co_await room_.installs.list(scope, page.after, page.limit + 1));
    const bool has_more = trim_to(found, page.limit);
    json::array items;
    for (const InstallDetails& details : found) items.push_back(install_json(details));
    co_return json_answer(
        200, access::page_json(std::move(items), has_more, found.empty() ? "" : found.back().install.id.to_string()));
  }

  Task<Result<net::Response>> get(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:read"));
    BH_CO_TRY(const InstallId id, install_id(context));
    BH_CO_TRY(const InstallDetails found, co_await room_.installs.find(scope, id));
    co_return install_answer(200, found);
  }

  Task<Result<net::Response>> change(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:install"));
    BH_CO_TRY(const InstallId id, install_id(context));
    BH_CO_TRY(const auto revision, access::if_match(context.request));
    BH_CO_TRY(InstallChange wanted, read_change(context.request));
    BH_CO_TRY(const InstallDetails changed,
              co_await room_.installs.change(context.actor(), scope, id, std::move(wanted), revision));
    co_return install_answer(200, changed);
  }

  Task<Result<net::Response>> remove(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:install"));
    BH_CO_TRY(const InstallId id, install_id(context));
    BH_CO_TRY_VOID(co_await room_.installs.remove(context.actor(), scope, id));
    co_return net::Response::empty(204);
  }

  Task<Result<net::Response>> enable(access::RouteContext& context) {
    return act(context, InstallService::Act::kEnable);
  }
  Task<Result<net::Response>> disable(access::RouteContext& context) {
    return act(context, InstallService::Act::kDisable);
  }
  Task<Result<net::Response>> rollback(access::RouteContext& context) {
    return act(context, InstallService::Act::kRollback);
  }
  Task<Result<net::Response>> reprovision(access::RouteContext& context) {
    return act(context, InstallService::Act::kReprovision);
  }

  Task<Result<net::Response>> lookup_by_host(access::RouteContext& context) {
    BH_CO_TRY_VOID(room_.authorizer.authorize_platform(context, "extension:read"));
    BH_CO_TRY(std::string host, required_query(context, "host"));
    BH_CO_TRY(const auto found, co_await room_.installs.lookup_by_host(std::move(host)));
    if (!found) co_return fail(ErrorCode::kNotFound, "No install has this host.");
    co_return json_answer(200, json::object{{"tenant_id", found->tenant.to_string()},
                                            {"extension_id", found->extension.to_string()},
                                            {"content_hash", found->content_hash.to_string()}});
  }

  Task<Result<net::Response>> validate(access::RouteContext& context) {
    BH_CO_TRY_VOID(room_.authorizer.authorize_platform(context, "extension:read"));
    BH_CO_TRY(const std::string tenant, required_query(context, "tenant"));
    BH_CO_TRY(std::string extension, required_query(context, "extension"));
    BH_CO_TRY(const std::string hash, required_query(context, "hash"));
    const auto tenant_id = TenantId::parse(tenant);
    const auto content_hash = ContentHash::parse(hash);
    if (!content_hash) co_return fail(ErrorCode::kBadRequest, "hash must be sha256:<64 hex digits>.");
    if (!tenant_id) co_return fail(ErrorCode::kNotFound, "There is no such install.");
    BH_CO_TRY(const bool valid, co_await room_.installs.validate(*tenant_id, std::move(extension), *content_hash));
    co_return json_answer(200, json::object{{"valid", valid}});
  }

 private:
  Task<Result<net::Response>> act(access::RouteContext& context, InstallService::Act act) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:install"));
    BH_CO_TRY(const InstallId id, install_id(context));
    BH_CO_TRY(const InstallDetails changed, co_await room_.installs.act(context.actor(), scope, id, act));
    co_return install_answer(200, changed);
  }
};

}  // namespace

access::Routes install_routes(ExtensionsRoom room) {
  using net::Method;
  using Handlers = InstallHandlers;
  RouteList<Handlers> routes(room);
  const std::string one = "/api/installs/:id";
  routes.add({Method::kPost, "/api/installs", "extension:install", "Install an extension with explicit grants"},
             &Handlers::create);
  routes.add({Method::kGet, "/api/installs", "extension:read", "List installs"}, &Handlers::list);
  routes.add({Method::kGet, "/api/installs/lookup-by-host", "extension:read", "The install behind a host name"},
             &Handlers::lookup_by_host);
  routes.add({Method::kGet, "/api/installs/validate", "extension:read", "Whether a bundle runs for an organization"},
             &Handlers::validate);
  routes.add({Method::kGet, one, "extension:read", "Get an install"}, &Handlers::get);
  routes.add({Method::kPatch, one, "extension:install", "Change version, rollout, grants, config or limits"},
             &Handlers::change);
  routes.add({Method::kDelete, one, "extension:install", "Uninstall"}, &Handlers::remove);
  routes.add({Method::kPost, one + "/enable", "extension:install", "Enable an install"}, &Handlers::enable);
  routes.add({Method::kPost, one + "/disable", "extension:install", "Disable an install"}, &Handlers::disable);
  routes.add({Method::kPost, one + "/rollback", "extension:install", "End a rollout, or go back to the version before"},
             &Handlers::rollback);
  routes.add({Method::kPost, one + "/reprovision", "extension:install", "Provision the install's domain again"},
             &Handlers::reprovision);
  return routes.take();
}

}  // namespace bulkhead::extensions
