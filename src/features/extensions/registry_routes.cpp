// /api/extensions: the registry, and publishing.
#include "features/extensions/records_json.h"
#include "features/extensions/route_handlers.h"

namespace bulkhead::extensions {
namespace {

struct NewExtension {
  std::string name;
  std::string publisher;
  Visibility visibility = Visibility::kPublic;
};

Visibility read_visibility(JsonReader& reader, Visibility fallback) {
  const auto text = reader.optional_string("visibility");
  if (!text) return fallback;
  const auto visibility = parse_visibility(*text);
  if (!visibility) reader.problem("visibility", "must be public or private");
  return visibility.value_or(fallback);
}

Result<NewExtension> read_new_extension(const net::Request& request) {
  BH_TRY(const json::value body, access::json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  NewExtension wanted;
  wanted.name = reader.required_string("name").value_or("");
  wanted.publisher = reader.optional_string("publisher").value_or("");
  wanted.visibility = read_visibility(reader, Visibility::kPublic);
  reader.refuse_unknown();
  BH_TRY_VOID(access::check_problems(std::move(problems)));
  return wanted;
}

Result<Visibility> read_new_visibility(const net::Request& request) {
  BH_TRY(const json::value body, access::json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  reader.required_string("visibility");
  const Visibility visibility = read_visibility(reader, Visibility::kPublic);
  reader.refuse_unknown();
  BH_TRY_VOID(access::check_problems(std::move(problems)));
  return visibility;
}

Result<std::string> read_reason(const net::Request& request) {
  BH_TRY(const json::value body, access::json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  auto reason = reader.optional_string("reason");
  reader.refuse_unknown();
  BH_TRY_VOID(access::check_problems(std::move(problems)));
  return reason.value_or("");
}

// x-bundle-signature: the detached DSSE envelope in base64. x-content-sha256: the hash that the client computed.
Result<std::optional<std::string>> read_detached_signature(const net::Request& request) {
  const auto header = request.headers.find("x-bundle-signature");
  if (!header) return std::nullopt;
  auto envelope = base64_decode(*header);
  if (!envelope) return fail(ErrorCode::kBadRequest, "x-bundle-signature must be base64.");
  return std::move(*envelope);
}

Status check_declared_hash(const net::Request& request, const ContentHash& received) {
  const auto header = request.headers.find("x-content-sha256");
  if (!header) return {};
  const auto declared = ContentHash::parse(*header);
  if (!declared) return fail(ErrorCode::kBadRequest, "x-content-sha256 must be 64 hex digits.");
  if (*declared == received) return {};
  return fail(ErrorCode::kHashMismatch, "The upload has the hash " + received.to_string() + ".");
}

class RegistryHandlers : public RoomHandlers {
 public:
  using RoomHandlers::RoomHandlers;

  Task<Result<net::Response>> create(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:publish"));
    BH_CO_TRY(NewExtension wanted, read_new_extension(context.request));
    BH_CO_TRY(const Extension made, co_await room_.registry.create(context.actor(), scope, std::move(wanted.name),
                                                                   std::move(wanted.publisher), wanted.visibility));
    net::Response response = json_answer(201, extension_json(made));
    response.headers.set("location", "/api/extensions/" + made.id.to_string());
    co_return response;
  }

  Task<Result<net::Response>> list(access::RouteContext& context) {
    BH_CO_TRY(const Viewer viewer, co_await viewer_of(context));
    BH_CO_TRY(const access::Page page, access::page_of(context.request));
    BH_CO_TRY(auto found, co_await room_.registry.list(viewer, page.after, page.limit + 1));
    const bool has_more = trim_to(found, page.limit);
    json::array items;
    for (const Extension& extension : found) items.push_back(extension_json(extension));
    co_return json_answer(200, access::page_json(std::move(items), has_more, found.empty() ? "" : found.back().name));
  }

  Task<Result<net::Response>> get(access::RouteContext& context) {
    BH_CO_TRY(const Viewer viewer, co_await viewer_of(context));
    BH_CO_TRY(const Extension found, co_await room_.registry.find(viewer, context.param("id")));
    co_return json_answer(200, extension_json(found));
  }

  Task<Result<net::Response>> update(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:publish"));
    BH_CO_TRY(const Visibility visibility, read_new_visibility(context.request));
    BH_CO_TRY(const Extension changed,
              co_await room_.registry.set_visibility(context.actor(), scope, context.param("id"), visibility));
    co_return json_answer(200, extension_json(changed));
  }

  Task<Result<net::Response>> versions(access::RouteContext& context) {
    BH_CO_TRY(const Viewer viewer, co_await viewer_of(context));
    BH_CO_TRY(const access::Page page, access::page_of(context.request));
    BH_CO_TRY(auto found, co_await room_.registry.versions(viewer, context.param("id"), page.after, page.limit + 1));
    const bool has_more = trim_to(found, page.limit);
    json::array items;
    for (const Version& version : found) items.push_back(version_json(version, ManifestDetail::kWhole));
    co_return json_answer(
        200, access::page_json(std::move(items), has_more, found.empty() ? "" : found.back().id.to_string()));
  }

  Task<Result<net::Response>> publish(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:publish"));
    BH_CO_TRY(auto signature, read_detached_signature(context.request));
    BH_CO_TRY(ReceivedUpload upload, co_await receive(context));
    BH_CO_TRY_VOID(check_declared_hash(context.request, upload.content_hash));
    BH_CO_TRY(const Published published, co_await room_.publisher.publish({.actor = context.actor(),
                                                                           .scope = scope,
                                                                           .extension = context.param("id"),
                                                                           .upload = std::move(upload),
                                                                           .detached_signature = std::move(signature),
                                                                           .expected_manifest = std::nullopt}));
    co_return json_answer(201,
                          json::object{{"extension", extension_json(published.extension)},
                                       {"version", version_json(published.version, ManifestDetail::kNone)},
                                       {"content_hash", published.version.content_hash.to_string()},
                                       {"size", published.bundle.size.value},
                                       {"notices", json::array(published.notices.begin(), published.notices.end())}});
  }

  Task<Result<net::Response>> deprecate(access::RouteContext& context) {
    return mark(context, RegistryService::Mark::kDeprecate);
  }
  Task<Result<net::Response>> undeprecate(access::RouteContext& context) {
    return mark(context, RegistryService::Mark::kUndeprecate);
  }
  Task<Result<net::Response>> yank(access::RouteContext& context) {
    return mark(context, RegistryService::Mark::kYank);
  }
  Task<Result<net::Response>> unyank(access::RouteContext& context) {
    return mark(context, RegistryService::Mark::kUnyank);
  }

 private:
  Task<Result<net::Response>> mark(access::RouteContext& context, RegistryService::Mark mark) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:publish"));
    BH_CO_TRY(std::string reason, read_reason(context.request));
    BH_CO_TRY(const Version marked, co_await room_.registry.mark(context.actor(), scope, context.param("id"),
                                                                 context.param("version"), mark, std::move(reason)));
    co_return json_answer(200, version_json(marked, ManifestDetail::kNone));
  }
};

}  // namespace

access::Routes registry_routes(ExtensionsRoom room) {
  using net::Method;
  using Handlers = RegistryHandlers;
  RouteList<Handlers> routes(room);
  const std::string one = "/api/extensions/:id", version = one + "/versions/:version";
  routes.add({Method::kPost, "/api/extensions", "extension:publish", "Claim an extension name"}, &Handlers::create);
  routes.add({Method::kGet, "/api/extensions", "extension:read", "List extensions"}, &Handlers::list);
  routes.add({Method::kGet, one, "extension:read", "Get an extension by id or name"}, &Handlers::get);
  routes.add({Method::kPatch, one, "extension:publish", "Change who may see an extension"}, &Handlers::update);
  routes.add({Method::kGet, one + "/versions", "extension:read", "List versions, newest first"}, &Handlers::versions);
  routes.add_upload(
      {Method::kPost, one + "/versions", "extension:publish", "Publish a version: the body is the bundle"},
      &Handlers::publish);
  routes.add({Method::kPost, version + "/deprecate", "extension:publish", "Deprecate a version"}, &Handlers::deprecate);
  routes.add({Method::kPost, version + "/undeprecate", "extension:publish", "Take a deprecation back"},
             &Handlers::undeprecate);
  routes.add({Method::kPost, version + "/yank", "extension:publish", "Keep a version from new installs"},
             &Handlers::yank);
  routes.add({Method::kPost, version + "/unyank", "extension:publish", "Allow new installs again"}, &Handlers::unyank);
  return routes.take();
}

}  // namespace bulkhead::extensions
