#include "features/extensions/sql_install_directory.h"

#include <algorithm>

#include "features/bundles/egress.h"
#include "features/bundles/manifest.h"
#include "features/bundles/name.h"
#include "features/extensions/install_limits.h"
#include "platform/bus/outbox.h"
#include "platform/observe/log.h"

namespace bulkhead::extensions {
namespace {

constexpr int kMostTries = 8;  // of loads that an eviction overtook
constexpr std::size_t kMaxOwners = 65'536;

Endpoint endpoint_of(const bundles::EndpointSpec& spec) {
  return {.method = spec.method,
          .path = spec.path,
          .segments = spec.segments,
          .handler = spec.handler,
          .permission = spec.permission,
          .timeout = spec.timeout};
}

// Granted, and asked for by a version that may run.
std::vector<std::string> effective_capabilities(const std::vector<std::string>& granted,
                                                std::initializer_list<const std::vector<std::string>*> asked) {
  std::vector<std::string> effective;
  for (const std::string& capability : granted) {
    const bool wanted = std::ranges::any_of(asked, [&](const std::vector<std::string>* list) {
      return list != nullptr && std::ranges::find(*list, capability) != list->end();
    });
    if (wanted) effective.push_back(capability);
  }
  return effective;
}

std::vector<std::string> effective_egress(const std::vector<std::string>& granted, std::vector<std::string> asked,
                                          const std::vector<std::string>* asked_by_rollout) {
  if (asked_by_rollout != nullptr) asked.insert(asked.end(), asked_by_rollout->begin(), asked_by_rollout->end());
  const auto beyond = bundles::egress_beyond(granted, asked);
  std::vector<std::string> effective;
  for (const std::string& host : granted) {
    if (std::ranges::find(beyond, host) == beyond.end()) effective.push_back(host);
  }
  return effective;
}

}  // namespace

SqlInstallDirectory::SqlInstallDirectory(sql::Database& database, const Clock& clock, metrics::Registry& registry,
                                         Options options)
    : database_(database),
      clock_(clock),
      options_(options),
      hits_(registry.counter("install_directory_hits_total", "Look-ups answered from memory.")),
      loads_(registry.counter("install_directory_loads_total", "Look-ups that asked the store.")) {}

void SqlInstallDirectory::listen(bus::Bus& bus, Core& core) {
  subscription_ = bus.subscribe(core, "install.changed",
                                {.message =
                                     [this](const bus::Message& message) {
                                       const auto event = bus::parse_event(message);
                                       if (event && event->tenant) {
                                         evict(*event->tenant);
                                       } else {
                                         evict_all();  // something changed, and we can't tell what
                                       }
                                     },
                                 .lost = [this] { evict_all(); }});
}

std::optional<InstalledPtr> SqlInstallDirectory::find_now(const TenantId& tenant, const std::string& extension) {
  Shard& shard = shard_of(tenant);
  const SteadyTime now = clock_.steady_now();
  const std::scoped_lock lock(shard.mutex);
  const auto entries = shard.tenants.find(tenant);
  if (entries == shard.tenants.end()) return std::nullopt;
  const auto found = entries->second.by_name.find(extension);
  if (found == entries->second.by_name.end() || found->second.until <= now) return std::nullopt;
  hits_.add();
  return found->second.installed;
}

Task<Result<InstalledPtr>> SqlInstallDirectory::find(TenantId tenant, std::string extension) {
  if (auto found = find_now(tenant, extension)) co_return std::move(*found);
  if (extension.size() > bundles::kMaxNameLength) co_return InstalledPtr();
  co_return co_await load_once(tenant, std::move(extension));
}

Task<Result<InstalledPtr>> SqlInstallDirectory::find_install(InstallId install) {
  std::optional<InstallOwner> owner;
  {
    const std::scoped_lock lock(owners_mutex_);
    if (const auto found = owners_.find(install); found != owners_.end()) owner = found->second;
  }
  if (!owner) {
    BH_CO_TRY(owner,
              co_await database_.system_read([install](sql::SystemTx& tx) { return find_install_owner(tx, install); }));
    if (!owner) co_return InstalledPtr();
    const std::scoped_lock lock(owners_mutex_);
    if (owners_.size() >= kMaxOwners) owners_.clear();
    owners_.emplace(install, *owner);
  }
  BH_CO_TRY(auto found, co_await find(owner->tenant, owner->extension.to_string()));
  // Uninstalled and installed again: the same extension under another install's id.
  if (found && found->install_id != install) co_return InstalledPtr();
  co_return found;
}

void SqlInstallDirectory::evict(TenantId tenant) {
  Shard& shard = shard_of(tenant);
  const std::scoped_lock lock(shard.mutex);
  ++shard.evictions;
  if (const auto found = shard.tenants.find(tenant); found != shard.tenants.end()) found->second.by_name.clear();
}

void SqlInstallDirectory::evict_all() {
  for (Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    ++shard.evictions;
    for (auto& [tenant, entries] : shard.tenants) entries.by_name.clear();
  }
}

Task<Result<InstalledPtr>> SqlInstallDirectory::load_once(TenantId tenant, std::string extension) {
  Shard& shard = shard_of(tenant);
  std::shared_ptr<Flight<Outcome>> flight;
  bool first = false;
  {
    const std::scoped_lock lock(shard.mutex);
    auto& slot = shard.tenants[tenant].flights[extension];
    first = slot == nullptr;
    if (first) slot = std::make_shared<Flight<Outcome>>();
    flight = slot;
  }
  if (!first) co_return co_await Flight<Outcome>::join(flight);
  for (int tries = 1;; ++tries) {
    std::uint64_t evictions = 0;
    {
      const std::scoped_lock lock(shard.mutex);
      evictions = shard.evictions;
    }
    loads_.add();
    const Outcome outcome = co_await load(tenant, extension);
    if (!finish(tenant, extension, outcome, evictions, tries)) continue;
    flight->land(outcome);
    co_return outcome;
  }
}

// Keeping the result and ending the flight are one step: who asks after an eviction must not join a flight that has
// already looked.
bool SqlInstallDirectory::finish(const TenantId& tenant, const std::string& extension, const Outcome& outcome,
                                 std::uint64_t evictions, int tries) {
  Shard& shard = shard_of(tenant);
  const std::scoped_lock lock(shard.mutex);
  const bool current = shard.evictions == evictions;
  if (outcome && !current && tries < kMostTries) return false;
  Tenant& entries = shard.tenants[tenant];
  entries.flights.erase(extension);
  if (outcome && current) {
    make_room(shard, entries);
    const Millis keep = *outcome ? options_.keep : options_.keep_absent;
    entries.by_name.insert_or_assign(extension, Kept{*outcome, clock_.steady_now() + keep});
  }
  return true;
}

void SqlInstallDirectory::make_room(Shard& shard, Tenant& tenant) {
  if (tenant.by_name.size() >= options_.names_per_tenant) tenant.by_name.clear();
  if (shard.tenants.size() <= options_.tenants_per_shard) return;
  std::erase_if(shard.tenants,
                [&tenant](const auto& item) { return &item.second != &tenant && item.second.flights.empty(); });
}

Task<Result<InstalledPtr>> SqlInstallDirectory::load(TenantId tenant, std::string extension) {
  BH_CO_TRY(const auto view,
            co_await database_.system_read([tenant, extension = std::move(extension)](sql::SystemTx& tx) {
              return find_install_view(tx, tenant, extension);
            }));
  if (!view || !view->install.is_enabled) co_return InstalledPtr();
  co_return installed_of(*view);
}

Result<InstalledPtr> SqlInstallDirectory::installed_of(const InstallView& view) {
  BH_TRY(const ParsedPtr current, parsed(view.version));
  ParsedPtr rollout;
  if (view.rollout && view.install.rollout_percent > 0) {
    BH_TRY(rollout, parsed(*view.rollout));
  }
  auto installed = std::make_shared<InstalledExtension>();
  installed->install_id = view.install.id;
  installed->tenant_id = view.tenant;
  installed->extension_id = view.install.extension_id;
  installed->extension_name = view.extension_name;
  installed->granted_capabilities = effective_capabilities(
      view.install.granted_caps, {&current->capabilities, rollout ? &rollout->capabilities : nullptr});
  installed->granted_egress =
      effective_egress(view.install.granted_egress, current->egress, rollout ? &rollout->egress : nullptr);
  installed->secrets = current->secrets;
  if (rollout) installed->secrets.insert(installed->secrets.end(), rollout->secrets.begin(), rollout->secrets.end());
  installed->config_json = view.install.config_json;
  installed->limits = limits_from_text(view.install.limits_json);
  installed->current = {current, &current->runnable};
  if (rollout) {
    installed->rollout = {rollout, &rollout->runnable};
    installed->rollout_percent = view.install.rollout_percent;
  }
  return installed;
}

Result<SqlInstallDirectory::ParsedPtr> SqlInstallDirectory::parsed(const Version& version) {
  {
    const std::scoped_lock lock(versions_mutex_);
    if (const auto found = versions_.find(version.id); found != versions_.end()) {
      if (auto shared = found->second.lock()) return shared;
    }
  }
  auto manifest = bundles::parse_manifest(version.manifest_json);
  if (!manifest) return fail_because(ErrorCode::kInternal, {}, std::move(manifest.error()));  // valid when published
  auto made = std::make_shared<ParsedVersion>();
  made->runnable = {
      .version_id = version.id, .version = version.version, .content_hash = version.content_hash, .endpoints = {}};
  for (const auto& spec : manifest->endpoints) made->runnable.endpoints.push_back(endpoint_of(spec));
  made->capabilities = std::move(manifest->capabilities);
  made->egress = std::move(manifest->egress);
  made->secrets = std::move(manifest->secrets);
  const std::scoped_lock lock(versions_mutex_);
  forget_unused_versions();
  versions_.insert_or_assign(version.id, made);
  return made;
}

// Amortised: only when the map would grow.
void SqlInstallDirectory::forget_unused_versions() {
  if (versions_.size() < versions_.bucket_count() / 2) return;
  std::erase_if(versions_, [](const auto& item) { return item.second.expired(); });
}

}  // namespace bulkhead::extensions
