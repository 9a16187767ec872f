#include "features/events/event_store.h"

namespace bulkhead::events {
namespace {

constexpr std::string_view kSubscriptionColumns =
    "s.id, s.install_id, s.topic, s.handler, s.ordinal, s.manifest_filter, s.filter, s.is_enabled, s.install_enabled, "
    "s.created_at, s.updated_at";
constexpr std::string_view kEventColumns =
    "e.id, e.tenant_id, e.install_id, e.source, e.event_id, e.topic, e.payload, e.hops, e.trace_parent, e.created_at";
constexpr std::size_t kEventColumnCount = 10;

Subscription subscription_of(const sql::Row& row, std::size_t at) {
  return {.id = row.id<SubscriptionId>(at),
          .install_id = row.id<InstallId>(at + 1),
          .topic = row.text(at + 2),
          .handler = row.text(at + 3),
          .ordinal = row.integer(at + 4),
          .manifest_filter = row.text(at + 5),
          .filter = row.optional_text(at + 6),
          .is_enabled = row.boolean(at + 7),
          .install_enabled = row.boolean(at + 8),
          .created_at = row.time(at + 9),
          .updated_at = row.time(at + 10)};
}

EmittedEvent event_of(const sql::Row& row, std::size_t at) {
  EmittedEvent event;
  event.id = row.id<EventRowId>(at);
  event.tenant_id = row.id<TenantId>(at + 1);
  if (!row.is_null(at + 2)) event.install_id = row.id<InstallId>(at + 2);
  event.source = row.text(at + 3);
  event.event_id = row.text(at + 4);
  event.topic = row.text(at + 5);
  event.payload_json = row.text(at + 6);
  event.hops = static_cast<std::uint32_t>(row.integer(at + 7));
  event.trace_parent = row.text(at + 8);
  event.created_at = row.time(at + 9);
  return event;
}

std::string columns(std::string_view list) { return std::string(list); }

}  // namespace

Result<std::vector<Subscription>> list_subscriptions(sql::TenantTx& tx, const InstallId& install) {
  BH_TRY(const auto rows, tx.query("SELECT " + columns(kSubscriptionColumns) +
                                       " FROM extension_event_subscription s WHERE s.tenant_id = $1 AND "
                                       "s.install_id = $2 ORDER BY s.topic, s.handler, s.ordinal",
                                   {install}));
  std::vector<Subscription> found;
  found.reserve(rows.size());
  for (const sql::Row& row : rows) found.push_back(subscription_of(row, 0));
  return found;
}

Status insert_subscription(sql::TenantTx& tx, const Subscription& subscription) {
  BH_TRY_VOID(tx.execute(
      "INSERT INTO extension_event_subscription (tenant_id, id, install_id, topic, handler, ordinal, manifest_filter, "
      "filter, is_enabled, install_enabled, created_at, updated_at) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
      {subscription.id, subscription.install_id, subscription.topic, subscription.handler, subscription.ordinal,
       subscription.manifest_filter, subscription.filter, subscription.is_enabled, subscription.install_enabled,
       subscription.created_at, subscription.updated_at}));
  return {};
}

Status update_subscription(sql::TenantTx& tx, const Subscription& subscription) {
  BH_TRY_VOID(
      tx.execute("UPDATE extension_event_subscription SET manifest_filter = $3, filter = $4, is_enabled = $5, "
                 "install_enabled = $6, updated_at = $7 WHERE tenant_id = $1 AND id = $2",
                 {subscription.id, subscription.manifest_filter, subscription.filter, subscription.is_enabled,
                  subscription.install_enabled, subscription.updated_at}));
  return {};
}

Status delete_subscription(sql::TenantTx& tx, const SubscriptionId& id) {
  BH_TRY_VOID(
      tx.execute("DELETE FROM extension_event_delivery WHERE tenant_id = $1 AND install_id = (SELECT install_id FROM "
                 "extension_event_subscription WHERE tenant_id = $1 AND id = $2) AND subscription_id = $2",
                 {id}));
  BH_TRY_VOID(tx.execute("DELETE FROM extension_event_subscription WHERE tenant_id = $1 AND id = $2", {id}));
  return {};
}

Status pause_deliveries(sql::TenantTx& tx, const InstallId& install, UtcMicros now) {
  BH_TRY_VOID(
      tx.execute("UPDATE extension_event_delivery SET state = 'paused', updated_at = $3 "
                 "WHERE tenant_id = $1 AND install_id = $2 AND state = 'pending'",
                 {install, now}));
  return {};
}

Status resume_deliveries(sql::TenantTx& tx, const InstallId& install, UtcMicros now) {
  BH_TRY_VOID(
      tx.execute("UPDATE extension_event_delivery SET state = 'pending', updated_at = $3 "
                 "WHERE tenant_id = $1 AND install_id = $2 AND state = 'paused'",
                 {install, now}));
  return {};
}

Status forget_install(sql::TenantTx& tx, const InstallId& install) {
  for (const char* table : {"extension_event_delivery", "extension_event_subscription"}) {
    BH_TRY_VOID(
        tx.execute("DELETE FROM " + std::string(table) + " WHERE tenant_id = $1 AND install_id = $2", {install}));
  }
  return {};
}

Result<bool> insert_event(sql::TenantTx& tx, const EmittedEvent& event) {
  BH_TRY(const std::int64_t inserted,
         tx.execute("INSERT INTO extension_event (tenant_id, id, install_id, source, event_id, topic, payload, hops, "
                    "trace_parent, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
                    "ON CONFLICT (tenant_id, install_id, topic, event_id) DO NOTHING",
                    {event.id, event.install_id, event.source, event.event_id, event.topic, event.payload_json,
                     event.hops, event.trace_parent, event.created_at}));
  return inserted == 1;
}

Result<std::int64_t> count_backlog(sql::TenantTx& tx, const InstallId& install, std::int64_t limit) {
  BH_TRY(const auto row,
         tx.query_one("SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM extension_event WHERE tenant_id = $1 AND "
                      "matched_at IS NULL AND install_id = $2 LIMIT $3) a) + (SELECT COUNT(*) FROM (SELECT 1 FROM "
                      "extension_event_delivery WHERE tenant_id = $1 AND source_install_id = $2 AND state <> 'dead' "
                      "LIMIT $3) b)",
                      {install, limit}));
  return row.integer(0);
}

Result<Unmatched> read_unmatched(sql::SystemTx& tx, std::int64_t limit) {
  Unmatched unmatched;
  BH_TRY(const auto events, tx.query("SELECT " + columns(kEventColumns) +
                                         " FROM extension_event e WHERE e.matched_at IS NULL ORDER BY e.id LIMIT $1",
                                     {limit}));
  for (const sql::Row& row : events) unmatched.events.push_back(event_of(row, 0));
  if (unmatched.events.empty()) return unmatched;
  BH_TRY(const auto subscriptions,
         tx.query("SELECT s.tenant_id, " + columns(kSubscriptionColumns) +
                      " FROM extension_event_subscription s JOIN (SELECT DISTINCT tenant_id, topic FROM (SELECT "
                      "tenant_id, topic FROM extension_event WHERE matched_at IS NULL ORDER BY id LIMIT $1) u) t "
                      "ON t.tenant_id = s.tenant_id AND t.topic = s.topic "
                      "WHERE s.is_enabled = 1 AND s.install_enabled = 1",
                  {limit}));
  for (const sql::Row& row : subscriptions) {
    unmatched.subscriptions.emplace_back(row.id<TenantId>(0), subscription_of(row, 1));
  }
  return unmatched;
}

Status insert_deliveries(sql::SystemTx& tx, const EmittedEvent& event, const std::vector<NewDelivery>& deliveries,
                         UtcMicros now) {
  BH_TRY(
      const std::int64_t marked,
      tx.execute("UPDATE extension_event SET matched_at = $2 WHERE id = $1 AND matched_at IS NULL", {event.id, now}));
  if (marked == 0) return {};
  for (const NewDelivery& delivery : deliveries) {
    // Not for an install that was removed or disabled since the subscriptions were read.
    BH_TRY_VOID(
        tx.execute("INSERT INTO extension_event_delivery (id, tenant_id, install_id, subscription_id, event_row_id, "
                   "source_install_id, state, attempts, due_at, created_at, updated_at) "
                   "SELECT $1, $2, $3, $4, $5, $6, 'pending', 0, $7, $7, $7 WHERE EXISTS "
                   "(SELECT 1 FROM extension_event_subscription WHERE id = $4 AND install_enabled = 1)",
                   {delivery.id, delivery.tenant_id, delivery.install_id, delivery.subscription_id, event.id,
                    event.install_id, now}));
  }
  return {};
}

Result<std::vector<DueDelivery>> list_due(sql::SystemTx& tx, UtcMicros now, const std::vector<InstallId>& busy,
                                          std::int64_t limit) {
  std::string statement =
      "SELECT id, install_id FROM extension_event_delivery WHERE state = 'pending' AND due_at <= $1";
  sql::Values values = {now, limit};
  for (std::size_t i = 0; i < busy.size(); ++i) {
    statement += (i == 0 ? " AND install_id NOT IN ($" : ", $") + std::to_string(i + 3);
    values.emplace_back(busy[i]);
  }
  if (!busy.empty()) statement += ")";
  statement += " ORDER BY due_at LIMIT $2";
  if (tx.engine() == sql::Engine::kPostgres) statement += " FOR UPDATE SKIP LOCKED";
  BH_TRY(const auto rows, tx.query(statement, values));
  std::vector<DueDelivery> due;
  due.reserve(rows.size());
  for (const sql::Row& row : rows) due.push_back({row.id<DeliveryId>(0), row.id<InstallId>(1)});
  return due;
}

Result<std::optional<ClaimedDelivery>> claim_delivery(sql::SystemTx& tx, const DeliveryId& id, UtcMicros now,
                                                      UtcMicros until, const std::string& token,
                                                      const std::string& owner) {
  BH_TRY(const std::int64_t claimed,
         tx.execute("UPDATE extension_event_delivery SET due_at = $3, attempts = attempts + 1, lease_token = $4, "
                    "lease_owner = $5, updated_at = $2 WHERE id = $1 AND state = 'pending' AND due_at <= $2",
                    {id, now, until, token, owner}));
  if (claimed == 0) return std::nullopt;
  BH_TRY(const auto row, tx.query_one("SELECT " + columns(kEventColumns) +
                                          ", d.tenant_id, d.install_id, s.handler, d.attempts, d.created_at "
                                          "FROM extension_event_delivery d "
                                          "JOIN extension_event_subscription s ON s.id = d.subscription_id "
                                          "JOIN extension_event e ON e.id = d.event_row_id WHERE d.id = $1",
                                      {id}));
  return ClaimedDelivery{.id = id,
                         .tenant_id = row.id<TenantId>(kEventColumnCount),
                         .install_id = row.id<InstallId>(kEventColumnCount + 1),
                         .handler = row.text(kEventColumnCount + 2),
                         .event = event_of(row, 0),
                         .attempt = row.integer(kEventColumnCount + 3),
                         .created_at = row.time(kEventColumnCount + 4)};
}

Result<std::optional<UtcMicros>> next_due(sql::SystemTx& tx) {
  BH_TRY(const auto rows,
         tx.query("SELECT due_at FROM extension_event_delivery WHERE state = 'pending' ORDER BY due_at LIMIT 1"));
  if (rows.empty()) return std::nullopt;
  return rows.front().time(0);
}

Status finish_delivery(sql::SystemTx& tx, const DeliveryId& id, const std::string& token) {
  BH_TRY_VOID(tx.execute("DELETE FROM extension_event_delivery WHERE id = $1 AND lease_token = $2", {id, token}));
  return {};
}

Status retry_delivery(sql::SystemTx& tx, const DeliveryId& id, const std::string& token, const Failure& failure,
                      UtcMicros now, UtcMicros due, Attempt attempt) {
  BH_TRY_VOID(tx.execute(
      "UPDATE extension_event_delivery SET due_at = $3, attempts = attempts - $4, error_code = $5, "
      "error_message = $6, updated_at = $7, lease_token = NULL, lease_owner = NULL WHERE id = $1 AND lease_token = $2",
      {id, token, due, attempt == Attempt::kCounts ? 0 : 1, failure.code, failure.message, now}));
  return {};
}

Status bury_delivery(sql::SystemTx& tx, const DeliveryId& id, const std::string& token, const Failure& failure,
                     UtcMicros now) {
  BH_TRY_VOID(tx.execute(
      "UPDATE extension_event_delivery SET state = 'dead', error_code = $3, error_message = $4, updated_at = $5, "
      "lease_token = NULL, lease_owner = NULL WHERE id = $1 AND lease_token = $2",
      {id, token, failure.code, failure.message, now}));
  return {};
}

Result<std::int64_t> release_leases(sql::SystemTx& tx, const std::string& owner, UtcMicros now) {
  return tx.execute(
      "UPDATE extension_event_delivery SET due_at = $2, lease_token = NULL, lease_owner = NULL WHERE lease_owner = $1",
      {owner, now});
}

Result<std::vector<DeadLetter>> list_dead_letters(sql::TenantTx& tx, const InstallId& install, const std::string& after,
                                                  std::int64_t limit) {
  BH_TRY(const auto rows,
         tx.query("SELECT " + columns(kEventColumns) +
                      ", d.id, d.subscription_id, s.handler, d.attempts, d.error_code, d.error_message, d.updated_at "
                      "FROM extension_event_delivery d JOIN extension_event_subscription s ON s.id = d.subscription_id "
                      "JOIN extension_event e ON e.id = d.event_row_id WHERE d.tenant_id = $1 AND d.install_id = $2 "
                      "AND d.state = 'dead' AND d.id > $3 ORDER BY d.id LIMIT $4",
                  {install, after, limit}));
  std::vector<DeadLetter> letters;
  letters.reserve(rows.size());
  for (const sql::Row& row : rows) {
    const std::size_t at = kEventColumnCount;
    letters.push_back({.id = row.id<DeliveryId>(at),
                       .subscription_id = row.id<SubscriptionId>(at + 1),
                       .event = event_of(row, 0),
                       .handler = row.text(at + 2),
                       .attempts = row.integer(at + 3),
                       .failure = {row.optional_text(at + 4).value_or(""), row.optional_text(at + 5).value_or("")},
                       .died_at = row.time(at + 6)});
  }
  return letters;
}

Result<std::int64_t> redrive(sql::TenantTx& tx, const InstallId& install, const std::optional<DeliveryId>& id,
                             UtcMicros now) {
  std::string statement =
      "UPDATE extension_event_delivery SET state = CASE WHEN EXISTS (SELECT 1 FROM extension_event_subscription s "
      "WHERE s.id = subscription_id AND s.install_enabled = 1) THEN 'pending' ELSE 'paused' END, attempts = 0, "
      "due_at = $3, created_at = $3, updated_at = $3 WHERE tenant_id = $1 AND install_id = $2 AND state = 'dead'";
  if (id) return tx.execute(statement + " AND id = $4", {install, now, *id});
  return tx.execute(statement, {install, now});
}

Result<std::int64_t> forget_old(sql::SystemTx& tx, UtcMicros dead, UtcMicros handled, std::int64_t limit) {
  BH_TRY(const std::int64_t letters,
         tx.execute("DELETE FROM extension_event_delivery WHERE id IN (SELECT id FROM extension_event_delivery WHERE "
                    "state = 'dead' AND updated_at < $1 LIMIT $2)",
                    {dead, limit}));
  // UUIDv7 sorts by time, so old events are at the front of the primary key.
  BH_TRY(const std::int64_t events,
         tx.execute("DELETE FROM extension_event WHERE id IN (SELECT e.id FROM extension_event e WHERE e.created_at < "
                    "$1 AND e.matched_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM extension_event_delivery d WHERE "
                    "d.event_row_id = e.id) ORDER BY e.id LIMIT $2)",
                    {handled, limit}));
  return letters + events;
}

}  // namespace bulkhead::events
