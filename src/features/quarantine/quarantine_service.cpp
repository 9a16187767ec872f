#include "features/quarantine/quarantine_service.h"

#include <algorithm>

#include "platform/bus/outbox.h"
#include "platform/observe/log.h"

namespace bulkhead::quarantine {
namespace {

constexpr std::int64_t kMaxListed = 1'000;
constexpr std::int64_t kMaxLoaded = 100'000;
constexpr Millis kFirstRetry{200};
constexpr Millis kLastRetry{10'000};

const access::Actor& platform_actor() {
  static const access::Actor actor{.credential_id = "system:quarantine", .ip = {}, .request_id = {}};
  return actor;
}

std::string resource_of(const Quarantine& quarantine) { return "install:" + quarantine.install.to_string(); }

bus::Event event_of(const Clock& clock, Random& random, std::string topic, const Quarantine& quarantine) {
  return bus::make_event(clock, random, std::move(topic),
                         {{"install_id", quarantine.install.to_string()},
                          {"extension_id", quarantine.extension.to_string()},
                          {"reason", to_string(quarantine.reason)}});
}

}  // namespace

QuarantineService::QuarantineService(Dependencies dependencies, metrics::Registry& registry)
    : dependencies_(std::move(dependencies)), registry_(registry) {
  registry.gauge("extension_quarantined", "Installs that are quarantined.",
                 [this] { return static_cast<double>(count_.load()); });
  for (const Reason reason : {Reason::kTraps, Reason::kOutOfMemory, Reason::kPolicyViolations}) {
    static_cast<void>(registry.counter("extension_quarantines_total", "Installs that were quarantined, by reason.",
                                       {{"reason", std::string(to_string(reason))}}));
  }
}

Task<Status> QuarantineService::load() {
  auto all =
      co_await dependencies_.database.system_read([](sql::SystemTx& tx) { return list_quarantines(tx, kMaxLoaded); });
  if (!all) co_return fail(all.error());
  const std::lock_guard lock(mutex_);
  held_.clear();
  for (Quarantine& one : *all) held_.emplace(one.install, std::move(one));
  count_ = held_.size();
  co_return Status();
}

void QuarantineService::listen(bus::Bus& bus, Core& core) {
  for (const char* topic : {"install.quarantined", "install.released"}) {
    subscriptions_.push_back(bus.subscribe(core, topic,
                                           {.message = [this](const bus::Message& message) { on_message(message); },
                                            .lost = [this] { dependencies_.run(reload()); }}));
  }
}

void QuarantineService::on_message(const bus::Message& message) {
  const auto event = bus::parse_event(message);
  if (!event) return;
  const json::value* id = event->data.if_contains("install_id");
  if (id == nullptr || !id->is_string()) return;
  if (const auto install = InstallId::parse(std::string_view(id->get_string()))) dependencies_.run(refresh(*install));
}

Task<> QuarantineService::reload() {
  if (const auto loaded = co_await load(); !loaded) log::warn("quarantine_not_reloaded", loaded.error());
}

Task<> QuarantineService::refresh(InstallId install) {
  const auto found = co_await dependencies_.database.system_read(
      [install](sql::SystemTx& tx) { return find_quarantine(tx, install); });
  if (!found) {
    log::warn("quarantine_not_refreshed", found.error(), {{"install_id", install.to_string()}});
  } else if (*found) {
    put(**found);
  } else {
    drop(install);
  }
}

std::optional<Quarantine> QuarantineService::find(const InstallId& install) const {
  if (count_.load(std::memory_order_relaxed) == 0) return std::nullopt;
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(install);
  if (found == held_.end() || !found->second.holds_at(dependencies_.clock.now())) return std::nullopt;
  return found->second;
}

bool QuarantineService::is_held(const InstallId& install) const {
  const std::lock_guard lock(mutex_);
  return held_.contains(install);
}

void QuarantineService::put(Quarantine quarantine) {
  const std::lock_guard lock(mutex_);
  held_.insert_or_assign(quarantine.install, std::move(quarantine));
  count_ = held_.size();
}

void QuarantineService::drop(const InstallId& install) {
  {
    const std::lock_guard lock(mutex_);
    if (held_.erase(install) == 0) return;
    count_ = held_.size();
  }
  if (released_) released_(install);
}

void QuarantineService::hold(Quarantine quarantine) {
  registry_
      .counter("extension_quarantines_total", "Installs that were quarantined, by reason.",
               {{"reason", std::string(to_string(quarantine.reason))}})
      .add();
  log::warn("install_quarantined", {{"install_id", quarantine.install.to_string()},
                                    {"tenant_id", quarantine.tenant.to_string()},
                                    {"reason", to_string(quarantine.reason)},
                                    {"message", quarantine.message}});
  put(quarantine);
  dependencies_.run(write(std::move(quarantine)));
}

Task<> QuarantineService::write(Quarantine quarantine) {
  Millis wait = kFirstRetry;
  // Until it is written, or released meanwhile.
  while (is_held(quarantine.install)) {
    const auto written = co_await write_once(quarantine);
    if (written) {
      dependencies_.wake_relay();
      co_return;
    }
    if (written.error().code == ErrorCode::kShuttingDown) co_return;
    log::warn("quarantine_not_written", written.error(), {{"install_id", quarantine.install.to_string()}});
    co_await sleep_for(wait);
    wait = std::min(kLastRetry, wait * 2);
  }
}

Task<Status> QuarantineService::write_once(Quarantine quarantine) {
  const auto scope = TenantScope::for_background_job(quarantine.tenant, "quarantine of an install");
  const bus::Event event = event_of(dependencies_.clock, dependencies_.random, "install.quarantined", quarantine);
  const UtcMicros now = dependencies_.clock.now();
  Random& random = dependencies_.random;
  co_return co_await dependencies_.database.write(
      scope, [quarantine, event, now, &random](sql::TenantTx& tx) -> Status {
        BH_TRY(const bool inserted, insert_quarantine(tx, quarantine));
        if (!inserted) return {};  // another node was first
        BH_TRY_VOID(access::append_audit(tx,
                                         access::audit_entry(platform_actor(), "install.quarantine",
                                                             resource_of(quarantine), nullptr, to_json(quarantine)),
                                         now, random));
        return bus::append(tx, event);
      });
}

Task<Result<std::vector<Quarantine>>> QuarantineService::list(std::optional<TenantScope> scope) {
  if (!scope) {
    co_return co_await dependencies_.database.system_read(
        [](sql::SystemTx& tx) { return list_quarantines(tx, kMaxListed); });
  }
  co_return co_await dependencies_.database.read(*scope,
                                                 [](sql::TenantTx& tx) { return list_quarantines(tx, kMaxListed); });
}

Task<Result<Quarantine>> QuarantineService::release(access::Actor actor, TenantScope scope, InstallId install) {
  const UtcMicros now = dependencies_.clock.now();
  Random& random = dependencies_.random;
  const Clock& clock = dependencies_.clock;
  auto released = co_await dependencies_.database.write(
      scope, [actor, install, now, &random, &clock](sql::TenantTx& tx) -> Result<Quarantine> {
        BH_TRY(const auto found, delete_quarantine(tx, install));
        if (!found) return fail(ErrorCode::kNotFound, "The install is not quarantined.");
        BH_TRY_VOID(access::append_audit(
            tx, access::audit_entry(actor, "install.release", resource_of(*found), to_json(*found)), now, random));
        BH_TRY_VOID(bus::append(tx, event_of(clock, random, "install.released", *found)));
        return *found;
      });
  if (!released) co_return released;
  log::info("install_released", {{"install_id", install.to_string()}, {"actor", actor.credential_id}});
  drop(install);
  dependencies_.wake_relay();
  co_return released;
}

// What is held in memory goes when the row's removal is heard of; until then the install is not there to be called.
Status QuarantineService::forget(sql::TenantTx& tx, const InstallId& install) {
  BH_TRY_VOID(delete_quarantine(tx, install));
  return {};
}

}  // namespace bulkhead::quarantine
