// What the published author CLI `@alga-psa/cli` sends (contracts/extensions.md §2, last rows): headers x-api-key and
// x-tenant-id; its x-alga-admin is ignored. Its member names are camelCase.
#include <charconv>

#include "features/extensions/route_handlers.h"

namespace bulkhead::extensions {
namespace {

struct Finalize {
  std::string key;
  UploadService::Declared declared;
  std::optional<json::value> manifest;
};

Result<std::optional<ContentHash>> read_hash(const std::optional<std::string>& text) {
  if (!text || text->empty()) return std::nullopt;
  const auto hash = ContentHash::parse(*text);
  if (!hash) return fail(ErrorCode::kBadRequest, "declaredHash must be 64 hex digits.");
  return *hash;
}

Result<std::optional<Bytes>> read_size(const std::optional<std::string>& text) {
  if (!text || text->empty()) return std::nullopt;
  std::uint64_t size = 0;
  const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), size);
  if (failure != std::errc{} || end != text->data() + text->size()) {
    return fail(ErrorCode::kBadRequest, "size must be a number of bytes.");
  }
  if (Bytes{size} > kMaxUpload) {
    return fail(ErrorCode::kPayloadTooLarge, "The bundle is larger than " + to_string(kMaxUpload) + ".");
  }
  return Bytes{size};
}

// A JSON text or the object itself.
Result<std::optional<json::value>> read_manifest(const json::value* member) {
  if (member == nullptr || member->is_null()) return std::nullopt;
  if (!member->is_string()) return *member;
  auto parsed = parse_json(member->get_string());
  if (!parsed) return fail_because(ErrorCode::kInvalidManifest, "manifestJson is not JSON.", std::move(parsed.error()));
  return std::move(*parsed);
}

Result<Finalize> read_finalize(const net::Request& request) {
  BH_TRY(const json::value body, access::json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  Finalize wanted;
  wanted.key = reader.required_string("key").value_or("");
  const auto hash = reader.optional_string("declaredHash");
  const auto size = reader.optional_integer("size", 0, INT64_MAX);
  const json::value* manifest = reader.member("manifestJson");
  reader.refuse_unknown();
  BH_TRY_VOID(access::check_problems(std::move(problems)));
  BH_TRY(wanted.declared.content_hash, read_hash(hash));
  if (size) wanted.declared.size = Bytes{static_cast<std::uint64_t>(*size)};
  BH_TRY(wanted.manifest, read_manifest(manifest));
  return wanted;
}

// {"registryId", "version"}; other members of this client are not ours to judge.
Result<std::pair<std::string, std::string>> read_registry_id(const net::Request& request) {
  BH_TRY(const json::value body, access::json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  auto registry_id = reader.required_string("registryId");
  auto version = reader.optional_string("version");
  BH_TRY_VOID(access::check_problems(std::move(problems)));
  return std::pair{std::move(*registry_id), version.value_or("")};
}

class AuthorCliHandlers : public RoomHandlers {
 public:
  using RoomHandlers::RoomHandlers;

  Task<Result<net::Response>> upload(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:publish"));
    UploadService::Declared declared;
    BH_CO_TRY(declared.content_hash, read_hash(optional_query(context, "declaredHash")));
    BH_CO_TRY(declared.size, read_size(optional_query(context, "size")));
    const std::string filename = optional_query(context, "filename").value_or("bundle.tar.zst");
    BH_CO_TRY(ReceivedUpload received, co_await receive(context));
    const ContentHash hash = received.content_hash;
    BH_CO_TRY(const std::string key,
              co_await room_.uploads.stage(context.actor(), scope, std::move(received), declared));
    co_return json_answer(
        200, json::object{{"upload", {{"key", key}, {"contentHash", hash.to_string()}}}, {"filename", filename}});
  }

  Task<Result<net::Response>> finalize(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:publish"));
    BH_CO_TRY(Finalize wanted, read_finalize(context.request));
    BH_CO_TRY(ReceivedUpload upload, co_await room_.uploads.take(scope, wanted.key, wanted.declared));
    BH_CO_TRY(const Published published,
              co_await room_.publisher.publish({.actor = context.actor(),
                                                .scope = scope,
                                                .extension = {},
                                                .upload = std::move(upload),
                                                .detached_signature = std::nullopt,
                                                .expected_manifest = std::move(wanted.manifest)}));
    // It is published: what is left of the upload is removed now or by the housekeeping.
    static_cast<void>(co_await room_.uploads.discard(scope, wanted.key));
    co_return json_answer(200, json::object{{"extension", {{"id", published.extension.id.to_string()}}},
                                            {"version", {{"id", published.version.id.to_string()}}},
                                            {"contentHash", published.version.content_hash.to_string()}});
  }

  Task<Result<net::Response>> abort(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:publish"));
    BH_CO_TRY(const json::value body, access::json_body(context.request));
    std::vector<FieldError> problems;
    JsonReader reader(body, problems);
    const auto key = reader.required_string("key");
    BH_CO_TRY_VOID(access::check_problems(std::move(problems)));
    BH_CO_TRY_VOID(co_await room_.uploads.discard(scope, *key));
    co_return json_answer(200, json::object{{"aborted", true}});
  }

  Task<Result<net::Response>> install(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:install"));
    BH_CO_TRY(auto asked, read_registry_id(context.request));
    // It sends no grants, and granting is explicit: an admin adds them afterwards.
    NewInstall wanted;
    wanted.extension = std::move(asked.first);
    wanted.version = std::move(asked.second);
    BH_CO_TRY(const InstallDetails made, co_await room_.installs.create(context.actor(), scope, std::move(wanted)));
    co_return json_answer(200, json::object{{"data", {{"installId", made.install.id.to_string()}}}});
  }

  Task<Result<net::Response>> uninstall(access::RouteContext& context) {
    BH_CO_TRY(const TenantScope scope, co_await scope_of(context, "extension:install"));
    BH_CO_TRY(auto asked, read_registry_id(context.request));
    BH_CO_TRY_VOID(co_await room_.installs.remove_extension(context.actor(), scope, std::move(asked.first)));
    co_return json_answer(200, json::object{{"data", {{"message", "Extension uninstalled"}}}});
  }
};

}  // namespace

access::Routes author_cli_routes(ExtensionsRoom room) {
  using net::Method;
  using Handlers = AuthorCliHandlers;
  RouteList<Handlers> routes(room);
  routes.add_upload({Method::kPost, "/api/ext-bundles/upload-proxy", "extension:publish", "Stage a bundle"},
                    &Handlers::upload);
  routes.add({Method::kPost, "/api/ext-bundles/finalize", "extension:publish", "Publish a staged bundle"},
             &Handlers::finalize);
  routes.add({Method::kPost, "/api/ext-bundles/abort", "extension:publish", "Drop a staged bundle"}, &Handlers::abort);
  routes.add({Method::kPost, "/api/v1/extensions/install", "extension:install", "Install by registry id"},
             &Handlers::install);
  routes.add({Method::kPost, "/api/v1/extensions/uninstall", "extension:install", "Uninstall by registry id"},
             &Handlers::uninstall);
  return routes.take();
}

}  // namespace bulkhead::extensions
