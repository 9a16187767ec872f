// All SQL of the events room: subscriptions, events, deliveries (migrations/0001_events.sql says what the columns
// mean).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "platform/sql/database.h"

namespace bulkhead::events {

using SubscriptionId = Id<struct SubscriptionTag>;
using EventRowId = Id<struct EventRowTag>;
using DeliveryId = Id<struct DeliveryTag>;

struct Subscription {
  SubscriptionId id;
  InstallId install_id;
  std::string topic;
  std::string handler;
  std::int64_t ordinal = 0;  // tells apart several of one install with the same topic and handler
  std::string manifest_filter = "{}";
  std::optional<std::string> filter;  // the admin's
  bool is_enabled = true;
  bool install_enabled = true;
  UtcMicros created_at;
  UtcMicros updated_at;

  const std::string& effective_filter() const { return filter ? *filter : manifest_filter; }
};

struct EmittedEvent {
  EventRowId id;
  TenantId tenant_id;
  std::optional<InstallId> install_id;  // none: the platform
  std::string source;                   // name of the extension; "" for the platform
  std::string event_id;
  std::string topic;
  std::string payload_json;
  std::uint32_t hops = 0;
  std::string trace_parent;
  UtcMicros created_at;
};

// --- subscriptions ---
Result<std::vector<Subscription>> list_subscriptions(sql::TenantTx& tx, const InstallId& install);
Status insert_subscription(sql::TenantTx& tx, const Subscription& subscription);
// Every column that can change.
Status update_subscription(sql::TenantTx& tx, const Subscription& subscription);
// With what waits for it.
Status delete_subscription(sql::TenantTx& tx, const SubscriptionId& id);
// Deliveries of a disabled install wait until it is enabled again.
Status pause_deliveries(sql::TenantTx& tx, const InstallId& install, UtcMicros now);
Status resume_deliveries(sql::TenantTx& tx, const InstallId& install, UtcMicros now);
// Subscriptions, deliveries, dead letters.
Status forget_install(sql::TenantTx& tx, const InstallId& install);

// --- emitting and matching ---
// False: the emitter used this id for this topic already.
Result<bool> insert_event(sql::TenantTx& tx, const EmittedEvent& event);
// Of one emitter: events not matched yet and deliveries not done, counted up to `limit` each.
Result<std::int64_t> count_backlog(sql::TenantTx& tx, const InstallId& install, std::int64_t limit);

// Oldest first; with the subscriptions that name their topics and are enabled.
struct Unmatched {
  std::vector<EmittedEvent> events;
  std::vector<std::pair<TenantId, Subscription>> subscriptions;
};
Result<Unmatched> read_unmatched(sql::SystemTx& tx, std::int64_t limit);

struct NewDelivery {
  DeliveryId id;
  TenantId tenant_id;
  InstallId install_id;
  SubscriptionId subscription_id;
};
// Marks the event and inserts its deliveries, unless another node has done so.
Status insert_deliveries(sql::SystemTx& tx, const EmittedEvent& event, const std::vector<NewDelivery>& deliveries,
                         UtcMicros now);

// --- delivering ---
struct ClaimedDelivery {
  DeliveryId id;
  TenantId tenant_id;
  InstallId install_id;
  std::string handler;
  EmittedEvent event;
  std::int64_t attempt = 1;  // this one's number
  UtcMicros created_at;
};
struct DueDelivery {
  DeliveryId id;
  InstallId install_id;
};
// Oldest first, without those of `busy` installs. Locks them on PostgreSQL and passes over those locked by others.
Result<std::vector<DueDelivery>> list_due(sql::SystemTx& tx, UtcMicros now, const std::vector<InstallId>& busy,
                                          std::int64_t limit);
// nullopt: somebody else was faster.
Result<std::optional<ClaimedDelivery>> claim_delivery(sql::SystemTx& tx, const DeliveryId& id, UtcMicros now,
                                                      UtcMicros until, const std::string& token,
                                                      const std::string& owner);
Result<std::optional<UtcMicros>> next_due(sql::SystemTx& tx);
// These three do nothing when the lease has passed to somebody else.
Status finish_delivery(sql::SystemTx& tx, const DeliveryId& id, const std::string& token);
struct Failure {
  std::string code;
  std::string message;
};
// `counts`: whether this was an attempt, or the guest never ran.
enum class Attempt : std::uint8_t { kCounts, kNotStarted };
Status retry_delivery(sql::SystemTx& tx, const DeliveryId& id, const std::string& token, const Failure& failure,
                      UtcMicros now, UtcMicros due, Attempt attempt);
Status bury_delivery(sql::SystemTx& tx, const DeliveryId& id, const std::string& token, const Failure& failure,
                     UtcMicros now);
// After a crash of this node: what it held may be taken at once.
Result<std::int64_t> release_leases(sql::SystemTx& tx, const std::string& owner, UtcMicros now);

// --- dead letters ---
struct DeadLetter {
  DeliveryId id;
  SubscriptionId subscription_id;
  EmittedEvent event;
  std::string handler;
  std::int64_t attempts = 0;
  Failure failure;
  UtcMicros died_at;
};
// By id, those after `after`.
Result<std::vector<DeadLetter>> list_dead_letters(sql::TenantTx& tx, const InstallId& install, const std::string& after,
                                                  std::int64_t limit);
// One, or all (nullopt). How many.
Result<std::int64_t> redrive(sql::TenantTx& tx, const InstallId& install, const std::optional<DeliveryId>& id,
                             UtcMicros now);

// --- retention ---
// Dead letters that died before `dead`; events older than `handled` that nothing waits for. How many rows.
Result<std::int64_t> forget_old(sql::SystemTx& tx, UtcMicros dead, UtcMicros handled, std::int64_t limit);

}  // namespace bulkhead::events
