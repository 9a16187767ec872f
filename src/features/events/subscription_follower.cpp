#include "features/events/subscription_follower.h"

#include <algorithm>
#include <map>

#include "features/events/event_filter.h"
#include "features/events/topic.h"

namespace bulkhead::events {
namespace {

constexpr std::string_view kInstallChanged = "install.changed";

// The subscriptions of a manifest. What the language of filters does not know (a version from before its check, come
// back by a rollback) subscribes to nothing.
std::vector<Subscription> wanted_of(const extensions::Install& install, const bundles::Manifest& manifest) {
  std::vector<Subscription> wanted;
  std::map<std::pair<std::string, std::string>, std::int64_t> seen;
  for (const bundles::EventSpec& spec : manifest.events) {
    if (!EventFilter::parse(spec.filter_json)) continue;
    wanted.push_back({.id = {},
                      .install_id = install.id,
                      .topic = spec.topic,
                      .handler = spec.handler,
                      .ordinal = seen[{spec.topic, spec.handler}]++,
                      .manifest_filter = spec.filter_json,
                      .filter = std::nullopt,
                      .is_enabled = true,
                      .install_enabled = install.is_enabled,
                      .created_at = install.updated_at,
                      .updated_at = install.updated_at});
  }
  return wanted;
}

bool is_same(const Subscription& a, const Subscription& b) {
  return a.topic == b.topic && a.handler == b.handler && a.ordinal == b.ordinal;
}

Status tell_of_change(sql::TenantTx& tx, const extensions::Install& install, const bundles::Manifest& manifest,
                      Random& random) {
  BH_TRY(const auto listeners, tx.query("SELECT 1 FROM extension_event_subscription WHERE tenant_id = $1 AND "
                                        "topic = $2 AND is_enabled = 1 LIMIT 1",
                                        {kInstallChanged}));
  if (listeners.empty()) return {};
  EmittedEvent event;
  event.id = EventRowId::v7(install.updated_at, random);
  event.tenant_id = tx.tenant();
  event.event_id = event.id.to_string();
  event.topic = kInstallChanged;
  event.payload_json = json::serialize(json::object{{"install_id", install.id.to_string()},
                                                    {"extension", manifest.name},
                                                    {"version", manifest.version.text()},
                                                    {"enabled", install.is_enabled}});
  event.hops = 1;
  event.created_at = install.updated_at;
  BH_TRY_VOID(insert_event(tx, event));
  return {};
}

}  // namespace

Status SubscriptionFollower::check(const bundles::Manifest& manifest) const {
  for (std::size_t i = 0; i < manifest.events.size(); ++i) {
    BH_TRY_VOID(EventFilter::parse(manifest.events[i].filter_json, "/events/" + std::to_string(i) + "/filter"));
  }
  return {};
}

Status SubscriptionFollower::follow(sql::TenantTx& tx, const extensions::Install& install,
                                    const bundles::Manifest& manifest) {
  BH_TRY(std::vector<Subscription> present, list_subscriptions(tx, install.id));
  for (Subscription& wanted : wanted_of(install, manifest)) {
    const auto same = std::ranges::find_if(present, [&](const Subscription& one) { return is_same(one, wanted); });
    if (same == present.end()) {
      wanted.id = SubscriptionId::v7(install.updated_at, random_);
      BH_TRY_VOID(insert_subscription(tx, wanted));
      continue;
    }
    if (same->manifest_filter != wanted.manifest_filter || same->install_enabled != wanted.install_enabled) {
      same->manifest_filter = wanted.manifest_filter;
      same->install_enabled = wanted.install_enabled;
      same->updated_at = install.updated_at;
      BH_TRY_VOID(update_subscription(tx, *same));
    }
    present.erase(same);
  }
  for (const Subscription& gone : present) BH_TRY_VOID(delete_subscription(tx, gone.id));
  if (install.is_enabled) {
    BH_TRY_VOID(resume_deliveries(tx, install.id, install.updated_at));
  } else {
    BH_TRY_VOID(pause_deliveries(tx, install.id, install.updated_at));
  }
  return tell_of_change(tx, install, manifest, random_);
}

Status SubscriptionFollower::forget(sql::TenantTx& tx, const InstallId& install) { return forget_install(tx, install); }

}  // namespace bulkhead::events
