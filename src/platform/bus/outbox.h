// The outbox: events that others must hear about, written in the same transaction as the change they tell of. A relay
// (outbox_relay.h) publishes them on the bus after the commit: at least once, each node's in the order of their commits
// as far as one transaction waited for the other.
//
//   const bus::Event event = bus::make_event(clock, random, "install.changed", {{"install_id", id.to_string()}});
//   co_await database.write(scope, [=](sql::TenantTx& tx) -> Status {
//     …
//     return bus::append(tx, event);
//   });
//   relay.notify();
//
// Ids over payloads: an event names what changed; its consumer reads the rest from the store. Consumers are idempotent,
// by the event's id or by the state that they read.
#pragma once

#include <optional>
#include <string>

#include "base/ids.h"
#include "base/json.h"
#include "base/time.h"
#include "platform/bus/bus.h"
#include "platform/sql/database.h"

namespace bulkhead {

std::vector<sql::Migration> bus_migrations();

}  // namespace bulkhead

namespace bulkhead::bus {

// Made before the transaction, which may run more than once: the id stays the same.
struct Event {
  EventId id;
  UtcMicros created_at;
  std::string topic;
  json::object payload;
};
Event make_event(const Clock& clock, Random& random, std::string topic, json::object payload);

// kInternal when the topic is malformed or the payload has a member that looks like a secret (both are bugs of ours),
// kPayloadTooLarge over 64 KiB; else the store's errors.
Status append(sql::TenantTx& tx, const Event& event);
Status append(sql::SystemTx& tx, const Event& event, std::optional<TenantId> tenant = std::nullopt);

// What a subscriber gets: the message's payload is {"id","tenant_id","created_at","data"}.
struct ReceivedEvent {
  EventId id;
  std::optional<TenantId> tenant;
  UtcMicros created_at;
  json::object data;
};
// kBadRequest when the message is not an event of the outbox.
Result<ReceivedEvent> parse_event(const Message& message);

// kInternal with the RFC 6901 pointer of the first member, at any depth, whose name looks like that of a secret
// ("password", "apiKey", "x-auth-token"). Names that only tell of one are fine ("token_id", "keyPrefix",
// "secret_count").
Status refuse_secret_members(const json::value& payload);

}  // namespace bulkhead::bus
