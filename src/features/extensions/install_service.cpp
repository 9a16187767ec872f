#include "features/extensions/install_service.h"

#include <algorithm>

#include "features/extensions/install_limits.h"
#include "features/extensions/runner_domain.h"
#include "platform/bus/outbox.h"

namespace bulkhead::extensions {
namespace {

constexpr std::size_t kMaxConfig = std::size_t{64} * 1024;

std::unexpected<Error> no_install() { return fail(ErrorCode::kNotFound, "There is no such install."); }

json::value audit_view(const Install& install) {
  return {{"version_id", install.version_id.to_string()},
          {"rollout_version_id",
           install.rollout_version_id ? json::value(install.rollout_version_id->to_string()) : json::value(nullptr)},
          {"rollout_percent", install.rollout_percent},
          {"granted_caps", json::array(install.granted_caps.begin(), install.granted_caps.end())},
          {"granted_egress", json::array(install.granted_egress.begin(), install.granted_egress.end())},
          {"limits", install.limits_json},
          {"is_enabled", install.is_enabled}};
}

bus::Event changed_event(const Clock& clock, Random& random, const TenantId& tenant, const Install& install,
                         std::string_view action) {
  return bus::make_event(clock, random, "install.changed",
                         {{"tenant_id", tenant.to_string()},
                          {"install_id", install.id.to_string()},
                          {"extension_id", install.extension_id.to_string()},
                          {"action", action}});
}

Status set_config(Install& install, const json::value& config) {
  if (!config.is_object()) {
    Error error;
    error.code = ErrorCode::kConfigInvalid;
    error.message = "The config must be an object.";
    error.fields.push_back({"/config", "must be an object"});
    return fail(std::move(error));
  }
  install.config_json = canonical_json(config);
  if (install.config_json.size() > kMaxConfig)
    return fail(ErrorCode::kConfigInvalid, "The config is larger than 64 KiB.");
  return {};
}

Status set_limits(Install& install, const json::value& limits) {
  Error error;
  error.code = ErrorCode::kUnprocessable;
  install.limits_json = read_limits(limits, error.fields);
  if (error.fields.empty()) return {};
  error.message = error.fields.front().pointer + " " + error.fields.front().message + ".";
  return fail(std::move(error));
}

void set_grants(Install& install, const Grants& grants) {
  install.granted_caps = grants.capabilities;
  install.granted_egress = grants.egress;
}

Result<InstallDetails> read_details(sql::SystemTx& tx, const Install& install) {
  InstallDetails details{.install = install,
                         .extension_name = {},
                         .version = {},
                         .content_hash = {},
                         .rollout_version = {},
                         .previous_version = {}};
  BH_TRY(const auto extension, find_extension(tx, install.extension_id.to_string(), Viewer{}));
  BH_TRY(const auto version, find_version(tx, install.version_id));
  if (!extension || !version) return no_install();  // uninstalled meanwhile
  details.extension_name = extension->name;
  details.version = version->version;
  details.content_hash = version->content_hash;
  if (install.rollout_version_id) {
    BH_TRY(const auto rollout, find_version(tx, *install.rollout_version_id));
    details.rollout_version = rollout ? rollout->version : "";
  }
  if (install.previous_version_id) {
    BH_TRY(const auto previous, find_version(tx, *install.previous_version_id));
    details.previous_version = previous ? previous->version : "";
  }
  return details;
}

void end_rollout(Install& install) {
  install.rollout_version_id.reset();
  install.rollout_percent = 0;
}

}  // namespace

InstallService::InstallService(Dependencies dependencies) : dependencies_(std::move(dependencies)) {}

void InstallService::changed(const TenantId& tenant) {
  dependencies_.directory.evict(tenant);
  dependencies_.after_commit();
}

Task<Result<bundles::Manifest>> InstallService::verified_manifest(const Version& version) {
  BH_CO_TRY(VerifiedBundle verified, co_await dependencies_.bundles.open(version.content_hash));
  co_return std::move(verified.bundle.manifest);
}

Task<Status> InstallService::verify(const Version& version) {
  BH_CO_TRY(const bundles::Manifest manifest, co_await verified_manifest(version));
  co_return check_followers(manifest);
}

Status InstallService::check_followers(const bundles::Manifest& manifest) const {
  for (const InstallFollower* follower : dependencies_.followers) BH_TRY_VOID(follower->check(manifest));
  return {};
}

Task<Result<bundles::Manifest>> InstallService::manifest_of(VersionId id) {
  BH_CO_TRY(const Version version, co_await dependencies_.registry.version(id));
  co_return bundles::parse_manifest(version.manifest_json);
}

Task<Result<InstallDetails>> InstallService::create(access::Actor actor, TenantScope scope, NewInstall wanted) {
  BH_CO_TRY(const auto choice,
            co_await dependencies_.registry.choose(Viewer{scope.tenant()}, wanted.extension, wanted.version));
  BH_CO_TRY(const bundles::Manifest manifest, co_await verified_manifest(choice.version));
  const UtcMicros now = dependencies_.clock.now();
  Install install;
  install.id = InstallId::v4(dependencies_.random);
  install.extension_id = choice.extension.id;
  install.version_id = choice.version.id;
  install.runner_status = {RunnerState::kPending, "", now};
  install.created_by = actor.credential_id;
  install.created_at = now;
  install.updated_at = now;
  const Grants grants = normalized_grants(wanted.granted_caps, wanted.granted_egress);
  BH_CO_TRY_VOID(check_grants(grants, {&manifest}));
  set_grants(install, grants);
  if (wanted.config) BH_CO_TRY_VOID(set_config(install, *wanted.config));
  if (wanted.limits) BH_CO_TRY_VOID(set_limits(install, *wanted.limits));
  BH_CO_TRY_VOID(check_config(install.config_json, manifest));
  BH_CO_TRY_VOID(check_followers(manifest));

  for (const std::string& domain :
       runner_domain_candidates(scope.tenant(), install.extension_id, dependencies_.domain_root)) {
    auto inserted = co_await insert(actor, scope, install, domain, manifest);
    if (inserted) co_return co_await details(std::move(*inserted));
    if (inserted.error().code != ErrorCode::kAlreadyExists) co_return fail(std::move(inserted.error()));
    BH_CO_TRY(const auto present,
              co_await dependencies_.database.read(
                  scope, [id = install.extension_id](sql::TenantTx& tx) { return find_own_install_of(tx, id); }));
    if (present) co_return fail(ErrorCode::kAlreadyExists, choice.extension.name + " is installed already.");
  }
  co_return fail(ErrorCode::kConflict, "Every domain for this install is taken.");
}

Task<Result<Install>> InstallService::insert(const access::Actor& actor, TenantScope scope, Install install,
                                             std::string domain, const bundles::Manifest& manifest) {
  install.runner_domain = std::move(domain);
  const bus::Event event =
      changed_event(dependencies_.clock, dependencies_.random, scope.tenant(), install, "install.create");
  auto inserted =
      co_await dependencies_.database.write(scope, [&, install, actor, event](sql::TenantTx& tx) -> Result<Install> {
        BH_TRY_VOID(insert_install(tx, install));
        for (InstallFollower* follower : dependencies_.followers) {
          BH_TRY_VOID(follower->follow(tx, install, manifest));
        }
        BH_TRY_VOID(
            access::append_audit(tx,
                                 access::audit_entry(actor, "install.create", "install:" + install.id.to_string(),
                                                     nullptr, audit_view(install)),
                                 install.created_at, dependencies_.random));
        BH_TRY_VOID(bus::append(tx, event));
        return install;
      });
  if (!inserted) co_return inserted;
  changed(scope.tenant());
  co_return co_await provisioned(scope, std::move(*inserted));
}

// The row says "pending" by now, so whatever goes wrong here is taken up later (housekeeping.h).
Task<Result<Install>> InstallService::provisioned(TenantScope scope, Install install) {
  if (const auto done = co_await dependencies_.provisioning.run_once(); !done) co_return install;
  auto fresh = co_await load(scope, install.id);
  co_return fresh ? std::move(*fresh) : std::move(install);
}

Task<Result<Install>> InstallService::load(TenantScope scope, InstallId id) {
  BH_CO_TRY(auto found,
            co_await dependencies_.database.read(scope, [id](sql::TenantTx& tx) { return find_own_install(tx, id); }));
  if (!found) co_return no_install();
  co_return std::move(*found);
}

Task<Result<InstallDetails>> InstallService::find(TenantScope scope, InstallId id) {
  BH_CO_TRY(Install install, co_await load(scope, id));
  co_return co_await details(std::move(install));
}

Task<Result<std::vector<InstallDetails>>> InstallService::list(TenantScope scope, std::string after,
                                                               std::size_t limit) {
  BH_CO_TRY(auto installs,
            co_await dependencies_.database.read(scope, [after = std::move(after), limit](sql::TenantTx& tx) {
              return list_own_installs(tx, after, limit);
            }));
  co_return co_await all_details(std::move(installs));
}

Task<Result<InstallDetails>> InstallService::details(Install install) {
  BH_CO_TRY(auto all, co_await all_details({std::move(install)}));
  co_return std::move(all.front());
}

Task<Result<std::vector<InstallDetails>>> InstallService::all_details(std::vector<Install> installs) {
  co_return co_await dependencies_.database.system_read(
      [installs = std::move(installs)](sql::SystemTx& tx) -> Result<std::vector<InstallDetails>> {
        std::vector<InstallDetails> all;
        for (const Install& install : installs) {
          BH_TRY(auto one, read_details(tx, install));
          all.push_back(std::move(one));
        }
        return all;
      });
}

Task<Status> InstallService::put_version(TenantScope scope, Install& install, const std::string& version) {
  BH_CO_TRY(const auto choice,
            co_await dependencies_.registry.choose(Viewer{scope.tenant()}, install.extension_id.to_string(), version));
  if (choice.version.id != install.version_id) {
    BH_CO_TRY_VOID(co_await verify(choice.version));
    install.previous_version_id = install.version_id;
    install.version_id = choice.version.id;
  }
  // Switching to the version of a rollout ends it: it has become the version.
  if (install.rollout_version_id == install.version_id) end_rollout(install);
  co_return Status();
}

Task<Status> InstallService::put_rollout(TenantScope scope, Install& install, const Rollout& rollout) {
  if (rollout.percent == 0) {
    end_rollout(install);
    co_return Status();
  }
  BH_CO_TRY(const auto choice, co_await dependencies_.registry.choose(
                                   Viewer{scope.tenant()}, install.extension_id.to_string(), rollout.version));
  if (choice.version.id == install.version_id) {
    co_return fail(ErrorCode::kUnprocessable, choice.version.version + " is the version that is installed.");
  }
  BH_CO_TRY_VOID(co_await verify(choice.version));
  install.rollout_version_id = choice.version.id;
  install.rollout_percent = rollout.percent;
  co_return Status();
}

// Settings must suit every version that may run; a grant must be asked for by one of them. `named`: the grants that the
// change itself names. Those that stay from before are not judged: what a version does not ask for it does not get.
Task<Status> InstallService::check_settings(const Install& install, const Grants& named) {
  BH_CO_TRY(const bundles::Manifest current, co_await manifest_of(install.version_id));
  std::vector<const bundles::Manifest*> manifests{&current};
  std::optional<bundles::Manifest> rollout;
  if (install.rollout_version_id) {
    BH_CO_TRY(rollout, co_await manifest_of(*install.rollout_version_id));
    manifests.push_back(&*rollout);
  }
  BH_CO_TRY_VOID(check_grants(named, manifests));
  for (const bundles::Manifest* manifest : manifests) BH_CO_TRY_VOID(check_config(install.config_json, *manifest));
  co_return Status();
}

Task<Result<InstallDetails>> InstallService::change(access::Actor actor, TenantScope scope, InstallId id,
                                                    InstallChange change,
                                                    std::optional<std::int64_t> expected_revision) {
  BH_CO_TRY(const Install before, co_await load(scope, id));
  if (expected_revision && *expected_revision != before.revision) co_return fail(ErrorCode::kPreconditionFailed);
  Install after = before;
  if (change.version) BH_CO_TRY_VOID(co_await put_version(scope, after, *change.version));
  if (change.ends_rollout) end_rollout(after);
  if (change.rollout) BH_CO_TRY_VOID(co_await put_rollout(scope, after, *change.rollout));
  if (change.granted_caps || change.granted_egress) {
    set_grants(after, normalized_grants(change.granted_caps.value_or(after.granted_caps),
                                        change.granted_egress.value_or(after.granted_egress)));
  }
  if (change.config) BH_CO_TRY_VOID(set_config(after, *change.config));
  if (change.limits) BH_CO_TRY_VOID(set_limits(after, *change.limits));
  BH_CO_TRY_VOID(
      co_await check_settings(after, normalized_grants(change.granted_caps.value_or(std::vector<std::string>()),
                                                       change.granted_egress.value_or(std::vector<std::string>()))));
  BH_CO_TRY(Install saved, co_await save(actor, scope, before, std::move(after), "install.update"));
  co_return co_await details(std::move(saved));
}

Task<Result<Install>> InstallService::save(const access::Actor& actor, TenantScope scope, const Install& before,
                                           Install after, std::string action) {
  BH_CO_TRY(const bundles::Manifest manifest, co_await manifest_of(after.version_id));
  after.revision = before.revision + 1;
  after.updated_at = dependencies_.clock.now();
  const bus::Event event = changed_event(dependencies_.clock, dependencies_.random, scope.tenant(), after, action);
  auto saved =
      co_await dependencies_.database.write(scope, [&, after, action, event](sql::TenantTx& tx) -> Result<Install> {
        BH_TRY_VOID(update_install(tx, after));
        for (InstallFollower* follower : dependencies_.followers) BH_TRY_VOID(follower->follow(tx, after, manifest));
        json::value audit_before = audit_view(before), audit_after = audit_view(after);
        if (before.config_json != after.config_json) audit_after.as_object()["config_changed"] = true;
        BH_TRY_VOID(access::append_audit(tx,
                                         access::audit_entry(actor, action, "install:" + after.id.to_string(),
                                                             std::move(audit_before), std::move(audit_after)),
                                         after.updated_at, dependencies_.random));
        BH_TRY_VOID(bus::append(tx, event));
        return after;
      });
  if (saved) changed(scope.tenant());
  co_return saved;
}

Task<Status> InstallService::remove(access::Actor actor, TenantScope scope, InstallId id) {
  BH_CO_TRY(const Install install, co_await load(scope, id));
  const UtcMicros now = dependencies_.clock.now();
  const bus::Event event =
      changed_event(dependencies_.clock, dependencies_.random, scope.tenant(), install, "install.delete");
  auto removed = co_await dependencies_.database.write(scope, [&](sql::TenantTx& tx) -> Status {
    for (InstallFollower* follower : dependencies_.followers) BH_TRY_VOID(follower->forget(tx, install.id));
    BH_TRY_VOID(delete_install(tx, install.id));
    BH_TRY_VOID(access::append_audit(
        tx, access::audit_entry(actor, "install.delete", "install:" + install.id.to_string(), audit_view(install)), now,
        dependencies_.random));
    return bus::append(tx, event);
  });
  if (removed) changed(scope.tenant());
  co_return removed;
}

Task<Status> InstallService::remove_extension(access::Actor actor, TenantScope scope, std::string extension) {
  BH_CO_TRY(const auto view, co_await dependencies_.database.system_read(
                                 [tenant = scope.tenant(), extension = std::move(extension)](sql::SystemTx& tx) {
                                   return find_install_view(tx, tenant, extension);
                                 }));
  if (!view) co_return no_install();
  co_return co_await remove(std::move(actor), scope, view->install.id);
}

Task<Result<InstallDetails>> InstallService::act(access::Actor actor, TenantScope scope, InstallId id, Act act) {
  BH_CO_TRY(const Install before, co_await load(scope, id));
  Install after = before;
  std::string action;
  switch (act) {
    case Act::kEnable:
      after.is_enabled = true;
      action = "install.enable";
      break;
    case Act::kDisable:
      after.is_enabled = false;
      action = "install.disable";
      break;
    case Act::kRollback:
      action = "install.rollback";
      if (after.rollout_version_id) {
        end_rollout(after);
      } else if (after.previous_version_id) {
        std::swap(after.version_id, *after.previous_version_id);
      } else {
        co_return fail(ErrorCode::kConflict, "There is no version to go back to.");
      }
      break;
    case Act::kReprovision:
      after.runner_status = {RunnerState::kPending, "", dependencies_.clock.now()};
      action = "install.reprovision";
      break;
  }
  BH_CO_TRY(Install saved, co_await save(actor, scope, before, std::move(after), action));
  if (act == Act::kReprovision) {
    BH_CO_TRY(saved, co_await provisioned(scope, std::move(saved)));
  }
  co_return co_await details(std::move(saved));
}

Task<Result<std::optional<HostedInstall>>> InstallService::lookup_by_host(std::string host) {
  BH_CO_TRY(auto found, co_await dependencies_.database.system_read([host = normalized_host(host)](sql::SystemTx& tx) {
    return find_install_by_domain(tx, host);
  }));
  if (found && !found->is_enabled) co_return std::nullopt;
  co_return found;
}

Task<Result<bool>> InstallService::validate(TenantId tenant, std::string extension, ContentHash hash) {
  BH_CO_TRY(const auto view,
            co_await dependencies_.database.system_read([tenant, extension = std::move(extension)](sql::SystemTx& tx) {
              return find_install_view(tx, tenant, extension);
            }));
  if (!view) co_return no_install();
  const bool runs = view->version.content_hash == hash || (view->rollout && view->rollout->content_hash == hash);
  co_return view->install.is_enabled&& runs;
}

}  // namespace bulkhead::extensions
