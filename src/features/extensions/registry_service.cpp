#include "features/extensions/registry_service.h"

#include "features/bundles/name.h"
#include "features/bundles/semver.h"

namespace bulkhead::extensions {
namespace {

std::unexpected<Error> unprocessable(std::string pointer, std::string message) {
  Error error;
  error.code = ErrorCode::kUnprocessable;
  error.fields.push_back({std::move(pointer), std::move(message)});
  error.message = error.fields.front().pointer.substr(1) + " " + error.fields.front().message + ".";
  return fail(std::move(error));
}

std::unexpected<Error> no_extension() { return fail(ErrorCode::kNotFound, "There is no such extension."); }

// The highest by precedence; releases before pre-releases, yanked ones never.
std::optional<std::string> latest_of(const std::vector<VersionNumber>& numbers) {
  std::optional<bundles::Semver> best;
  for (const VersionNumber& number : numbers) {
    const auto version = number.yanked ? std::nullopt : bundles::Semver::parse(number.version);
    if (!version) continue;
    const bool release = version->prerelease().empty();
    const bool best_is_release = best && best->prerelease().empty();
    if (!best || (release && !best_is_release) || (release == best_is_release && *best < *version)) best = version;
  }
  if (!best) return std::nullopt;
  return best->text();
}

Status set_latest(sql::SystemTx& tx, Extension& extension) {
  BH_TRY(const auto numbers, list_version_numbers(tx, extension.id));
  extension.latest_version = latest_of(numbers).value_or("");
  return {};
}

std::string_view action_of(RegistryService::Mark mark) {
  switch (mark) {
    case RegistryService::Mark::kDeprecate:
      return "extension.deprecate";
    case RegistryService::Mark::kUndeprecate:
      return "extension.undeprecate";
    case RegistryService::Mark::kYank:
      return "extension.yank";
    case RegistryService::Mark::kUnyank:
      return "extension.unyank";
  }
  BH_ASSERT(false);
}

// Sets the mark in the value; a mark that is there already keeps its time.
void set_mark(Version& version, RegistryService::Mark mark, UtcMicros now, const std::string& reason) {
  switch (mark) {
    case RegistryService::Mark::kDeprecate:
      version.deprecated_at = version.deprecated_at.value_or(now);
      version.deprecated_reason = reason;
      return;
    case RegistryService::Mark::kUndeprecate:
      version.deprecated_at.reset();
      version.deprecated_reason.clear();
      return;
    case RegistryService::Mark::kYank:
      version.yanked_at = version.yanked_at.value_or(now);
      version.yanked_reason = reason;
      return;
    case RegistryService::Mark::kUnyank:
      version.yanked_at.reset();
      version.yanked_reason.clear();
      return;
  }
}

}  // namespace

RegistryService::RegistryService(sql::Database& database, const Clock& clock, Random& random)
    : database_(database), clock_(clock), random_(random) {}

Task<Result<Extension>> RegistryService::create(access::Actor actor, TenantScope scope, std::string name,
                                                std::string publisher, Visibility visibility) {
  if (const auto problem = bundles::name_problem(name)) co_return unprocessable("/name", *problem);
  if (publisher.size() > 128) co_return unprocessable("/publisher", "must have at most 128 characters");
  const UtcMicros now = clock_.now();
  const Extension made{.id = ExtensionId::v4(random_),
                       .owner = scope.tenant(),
                       .name = std::move(name),
                       .publisher = std::move(publisher),
                       .visibility = visibility,
                       .created_by = actor.credential_id,
                       .created_at = now,
                       .updated_at = now,
                       .latest_version = {}};
  auto inserted = co_await database_.write(scope, [this, made, actor, now](sql::TenantTx& tx) -> Result<Extension> {
    BH_TRY_VOID(insert_extension(tx, made));
    const json::value after = {{"name", made.name}, {"visibility", to_string(made.visibility)}};
    BH_TRY_VOID(access::append_audit(
        tx, access::audit_entry(actor, "extension.create", "extension:" + made.id.to_string(), nullptr, after), now,
        random_));
    return made;
  });
  if (inserted || inserted.error().code != ErrorCode::kAlreadyExists) co_return inserted;
  BH_CO_TRY(const auto holder, co_await database_.system_read(
                                   [&made](sql::SystemTx& tx) { return find_extension_by_name(tx, made.name); }));
  if (holder && holder->owner != scope.tenant()) co_return fail(ErrorCode::kNameClaimed);
  co_return fail(ErrorCode::kAlreadyExists, "Your organization has the extension " + made.name + " already.");
}

Task<Result<Extension>> RegistryService::set_visibility(access::Actor actor, TenantScope scope, std::string id_or_name,
                                                        Visibility visibility) {
  BH_CO_TRY(Extension extension, co_await find(Viewer{scope.tenant()}, std::move(id_or_name)));
  if (extension.owner != scope.tenant()) co_return no_extension();
  const UtcMicros now = clock_.now();
  co_return co_await database_.write(
      scope, [this, id = extension.id, visibility, actor, now](sql::TenantTx& tx) -> Result<Extension> {
        BH_TRY(auto own, own_extension(tx, id));
        if (!own) return no_extension();
        const json::value before = {{"visibility", to_string(own->visibility)}};
        own->visibility = visibility;
        own->updated_at = now;
        BH_TRY_VOID(update_extension(tx, *own));
        BH_TRY_VOID(access::append_audit(tx,
                                         access::audit_entry(actor, "extension.update", "extension:" + id.to_string(),
                                                             before, {{"visibility", to_string(visibility)}}),
                                         now, random_));
        return std::move(*own);
      });
}

Task<Result<Extension>> RegistryService::find(Viewer viewer, std::string id_or_name) {
  co_return co_await database_.system_read(
      [viewer, id_or_name = std::move(id_or_name)](sql::SystemTx& tx) -> Result<Extension> {
        BH_TRY(auto found, find_extension(tx, id_or_name, viewer));
        if (!found) return no_extension();
        BH_TRY_VOID(set_latest(tx, *found));
        return std::move(*found);
      });
}

Task<Result<std::vector<Extension>>> RegistryService::list(Viewer viewer, std::string after_name, std::size_t limit) {
  co_return co_await database_.system_read(
      [viewer, after_name = std::move(after_name), limit](sql::SystemTx& tx) -> Result<std::vector<Extension>> {
        BH_TRY(auto found, list_extensions(tx, viewer, after_name, limit));
        for (Extension& extension : found) BH_TRY_VOID(set_latest(tx, extension));
        return found;
      });
}

Task<Result<std::vector<Version>>> RegistryService::versions(Viewer viewer, std::string id_or_name, std::string before,
                                                             std::size_t limit) {
  BH_CO_TRY(const Extension extension, co_await find(viewer, std::move(id_or_name)));
  co_return co_await database_.system_read([id = extension.id, before = std::move(before), limit](sql::SystemTx& tx) {
    return list_versions(tx, id, before, limit);
  });
}

Task<Result<RegistryService::Choice>> RegistryService::choose(Viewer viewer, std::string id_or_name,
                                                              std::string version) {
  co_return co_await database_.system_read(
      [viewer, id_or_name = std::move(id_or_name), version = std::move(version)](sql::SystemTx& tx) -> Result<Choice> {
        BH_TRY(auto extension, find_extension(tx, id_or_name, viewer));
        if (!extension) return no_extension();
        std::string wanted = version;
        if (wanted.empty() || wanted == "latest") {
          BH_TRY(const auto numbers, list_version_numbers(tx, extension->id));
          const auto latest = latest_of(numbers);
          if (!latest) return fail(ErrorCode::kNotFound, extension->name + " has no version that could be installed.");
          wanted = *latest;
        }
        BH_TRY(auto found, find_version(tx, extension->id, wanted));
        if (!found) return fail(ErrorCode::kNotFound, extension->name + " has no version " + wanted + ".");
        if (found->yanked_at) return fail(ErrorCode::kVersionYanked, extension->name + " " + wanted + " was yanked.");
        return Choice{std::move(*extension), std::move(*found)};
      });
}

Task<Result<Version>> RegistryService::version(VersionId id) {
  BH_CO_TRY(auto found, co_await database_.system_read([id](sql::SystemTx& tx) { return find_version(tx, id); }));
  if (!found) co_return fail(ErrorCode::kNotFound, "There is no such version.");
  co_return std::move(*found);
}

Task<Result<Version>> RegistryService::mark(access::Actor actor, TenantScope scope, std::string id_or_name,
                                            std::string version, Mark mark, std::string reason) {
  if (reason.size() > 1'000) co_return unprocessable("/reason", "must have at most 1000 bytes");
  BH_CO_TRY(const Extension extension, co_await find(Viewer{scope.tenant()}, std::move(id_or_name)));
  if (extension.owner != scope.tenant()) co_return no_extension();
  BH_CO_TRY(auto found, co_await database_.system_read([id = extension.id, &version](sql::SystemTx& tx) {
    return find_version(tx, id, version);
  }));
  if (!found) co_return fail(ErrorCode::kNotFound, extension.name + " has no version " + version + ".");
  const UtcMicros now = clock_.now();
  set_mark(*found, mark, now, reason);
  co_return co_await database_.write(
      scope, [this, marked = *found, actor, mark, reason, now](sql::TenantTx& tx) -> Result<Version> {
        BH_TRY_VOID(set_deprecated(tx, marked.id, marked.deprecated_at, marked.deprecated_reason));
        BH_TRY_VOID(set_yanked(tx, marked.id, marked.yanked_at, marked.yanked_reason));
        BH_TRY_VOID(access::append_audit(
            tx,
            access::audit_entry(actor, std::string(action_of(mark)), "version:" + marked.id.to_string(), nullptr,
                                {{"version", marked.version}, {"reason", reason}}),
            now, random_));
        return marked;
      });
}

}  // namespace bulkhead::extensions
