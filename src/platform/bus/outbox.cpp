#include "platform/bus/outbox.h"

#include "platform/bus/topics.h"

namespace bulkhead::bus {
namespace {

constexpr std::size_t kLargestPayload = 64 * 1024;
constexpr const char* kInsert =
    "INSERT INTO outbox_event (tenant_id, id, topic, payload, created_at) VALUES ($1, $2, $3, $4, $5)";

Result<std::string> checked_payload(const Event& event) {
  if (!is_valid_topic(event.topic)) return fail(ErrorCode::kInternal, {}, "malformed topic: " + event.topic);
  BH_TRY_VOID(refuse_secret_members(event.payload));
  std::string text = json::serialize(event.payload);
  if (text.size() > kLargestPayload) return fail(ErrorCode::kPayloadTooLarge, "An event holds at most 64 KiB.");
  return text;
}

}  // namespace

Event make_event(const Clock& clock, Random& random, std::string topic, json::object payload) {
  const UtcMicros now = clock.now();
  return {.id = EventId::v7(now, random), .created_at = now, .topic = std::move(topic), .payload = std::move(payload)};
}

Status append(sql::TenantTx& tx, const Event& event) {
  BH_TRY(std::string payload, checked_payload(event));
  BH_TRY_VOID(tx.execute(kInsert, {event.id, event.topic, std::move(payload), event.created_at}));
  return {};
}

Status append(sql::SystemTx& tx, const Event& event, std::optional<TenantId> tenant) {
  BH_TRY(std::string payload, checked_payload(event));
  BH_TRY_VOID(tx.execute(kInsert, {tenant, event.id, event.topic, std::move(payload), event.created_at}));
  return {};
}

Result<ReceivedEvent> parse_event(const Message& message) {
  BH_TRY(json::value parsed, parse_json(message.payload));
  std::vector<FieldError> problems;
  JsonReader reader(parsed, problems);
  const auto id = reader.required_string("id");
  const auto created_at = reader.required_string("created_at");
  const json::value* tenant = reader.member("tenant_id");
  const json::value* data = reader.member("data");
  const auto event_id = id ? EventId::parse(*id) : std::nullopt;
  const auto time = created_at ? parse_rfc3339(*created_at) : std::nullopt;
  const bool has_tenant = tenant != nullptr && tenant->is_string();
  const auto tenant_id = has_tenant ? TenantId::parse(tenant->get_string()) : std::nullopt;
  if (!problems.empty() || !event_id || !time || has_tenant != tenant_id.has_value() || data == nullptr ||
      !data->is_object()) {
    return fail(ErrorCode::kBadRequest, {}, "not an event of the outbox: " + message.topic);
  }
  return ReceivedEvent{.id = *event_id, .tenant = tenant_id, .created_at = *time, .data = data->get_object()};
}

}  // namespace bulkhead::bus
