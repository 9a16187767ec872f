#include "features/broker/storage_calls.h"

#include <utility>

#include "base/utf8.h"
#include "features/broker/key_value_store.h"

namespace bulkhead::broker {
namespace {

using protocol::HostCode;
using protocol::HostResult;

constexpr std::int64_t kMaxTtlSeconds = 10LL * 365 * 24 * 3600;

bool is_storable_name(const std::string& name, std::size_t most) {
  return name.size() <= most && is_valid_utf8(name) && name.find('\0') == std::string::npos &&
         name.find("\xF4\x8F\xBF\xBF") == std::string::npos;
}

// Reads the members of one storage request; `problems` says what was wrong.
struct StorageRequest {
  std::vector<FieldError> problems;
  JsonReader reader;
  std::string name_space;

  explicit StorageRequest(const json::value& request) : reader(request, problems) {
    name_space = reader.optional_string("namespace").value_or("");
    if (!is_storable_name(name_space, kMaxNamespace)) reader.problem("namespace", "must be at most 128 bytes of UTF-8");
  }
  std::string key() {
    auto key = reader.required_string("key").value_or("");
    check_key(key, "key");
    return key;
  }
  void check_key(const std::string& key, std::string_view name) {
    if (key.empty() || !is_storable_name(key, kMaxKey)) reader.problem(name, "must be 1 to 512 bytes of UTF-8");
  }
  bool valid() {
    reader.refuse_unknown();
    return problems.empty();
  }
  HostResult refusal() const {
    return host_error(HostCode::kInvalid, "invalid_request", problems[0].pointer + " " + problems[0].message + ".");
  }
};

// The JSON text of a value, or kPayloadTooLarge.
Result<std::string> value_text(const json::value& value) {
  std::string text = json::serialize(value);
  if (text.size() > kMaxValue.value) {
    return fail(ErrorCode::kPayloadTooLarge, "The value is larger than " + to_string(kMaxValue) + ".");
  }
  // PostgreSQL's TEXT holds no NUL; JSON escapes it, so only malformed UTF-8 can get in the way.
  if (!is_valid_utf8(text)) return fail(ErrorCode::kUnprocessable, "The value is not valid UTF-8.");
  return text;
}

// What the functions use. Copied into each call's coroutine.
struct CallContext {
  sql::Database& database;
  const Clock& clock;
  TenantScope scope;
  InstallId install;
};

Task<HostResult> storage_get(CallContext context, json::value request) {
  StorageRequest storage(request);
  ItemName name{context.install, storage.name_space, storage.key()};
  if (!storage.valid()) co_return storage.refusal();
  const UtcMicros now = context.clock.now();
  const auto item =
      co_await context.database.read(context.scope, [name, now](sql::TenantTx& tx) { return get_item(tx, name, now); });
  if (!item) co_return host_error(item.error());
  // The stored text is JSON already; parsing it only to write it again would be waste.
  co_return HostResult{HostCode::kOk,
                       "{\"value\":" + item->value_json + ",\"version\":" + std::to_string(item->version) + "}"};
}

Task<HostResult> storage_put(CallContext context, json::value request) {
  StorageRequest storage(request);
  ItemWrite write;
  write.key = storage.key();
  const json::value* value = storage.reader.member("value");
  if (value == nullptr) storage.reader.problem("value", "is required");
  write.if_version = storage.reader.optional_integer("if_version", 0, INT64_MAX);
  const auto ttl = storage.reader.optional_integer("ttl_seconds", 1, kMaxTtlSeconds);
  if (!storage.valid()) co_return storage.refusal();
  auto text = value_text(*value);
  if (!text) co_return host_error(text.error());
  write.value_json = std::move(*text);
  const UtcMicros now = context.clock.now();
  if (ttl) write.expires_at = now + std::chrono::seconds(*ttl);
  const auto version = co_await context.database.write(
      context.scope, [install = context.install, name_space = storage.name_space, write, now](sql::TenantTx& tx) {
        return put_item(tx, install, name_space, write, now);
      });
  if (!version) co_return host_error(version.error());
  co_return host_answer({{"version", *version}});
}

Task<HostResult> storage_delete(CallContext context, json::value request) {
  StorageRequest storage(request);
  ItemName name{context.install, storage.name_space, storage.key()};
  const auto if_version = storage.reader.optional_integer("if_version", 1, INT64_MAX);
  if (!storage.valid()) co_return storage.refusal();
  const UtcMicros now = context.clock.now();
  const auto removed = co_await context.database.write(
      context.scope, [name, if_version, now](sql::TenantTx& tx) { return delete_item(tx, name, if_version, now); });
  if (!removed) co_return host_error(removed.error());
  co_return host_answer(json::object());
}

Task<HostResult> storage_list(CallContext context, json::value request) {
  StorageRequest storage(request);
  const std::string prefix = storage.reader.optional_string("prefix").value_or("");
  if (!is_storable_name(prefix, kMaxKey)) storage.reader.problem("prefix", "must be at most 512 bytes of UTF-8");
  const auto cursor = storage.reader.optional_string("cursor");
  const auto after = cursor ? base64url_decode(*cursor) : std::optional<std::string>("");
  if (!after || !is_storable_name(*after, kMaxKey)) storage.reader.problem("cursor", "is not one that list returned");
  const int limit = static_cast<int>(storage.reader.optional_integer("limit", 1, kMaxListLimit).value_or(100));
  if (!storage.valid()) co_return storage.refusal();
  const UtcMicros now = context.clock.now();
  const auto page = co_await context.database.read(
      context.scope,
      [install = context.install, name_space = storage.name_space, prefix, after, limit, now](sql::TenantTx& tx) {
        return list_items(tx, install, name_space, prefix, *after, limit, now);
      });
  if (!page) co_return host_error(page.error());
  json::array items;
  for (const auto& item : page->items) items.push_back({{"key", item.key}, {"version", item.version}});
  json::object response{{"items", std::move(items)}};
  if (page->more) response["cursor"] = base64url_encode(page->items.back().key);
  co_return host_answer(response);
}

Task<HostResult> storage_bulk_put(CallContext context, json::value request) {
  StorageRequest storage(request);
  const json::value* items = storage.reader.member("items");
  std::vector<ItemWrite> writes;
  std::size_t total = 0;
  if (items == nullptr || !items->is_array() || items->get_array().size() > kMaxBulkItems) {
    storage.reader.problem("items", "must be an array of at most 100 items");
  } else {
    for (std::size_t i = 0; i < items->get_array().size(); ++i) {
      JsonReader item(items->get_array()[i], storage.problems, "/items/" + std::to_string(i));
      ItemWrite write;
      write.key = item.required_string("key").value_or("");
      if (write.key.empty() || !is_storable_name(write.key, kMaxKey)) item.problem("key", "must be 1 to 512 bytes");
      const json::value* value = item.member("value");
      if (value == nullptr) {
        item.problem("value", "is required");
        continue;
      }
      item.refuse_unknown();
      auto text = value_text(*value);
      if (!text) co_return host_error(text.error());
      total += text->size();
      write.value_json = std::move(*text);
      writes.push_back(std::move(write));
    }
  }
  if (!storage.valid()) co_return storage.refusal();
  if (total > kMaxValue.value)
    co_return host_error(HostCode::kTooLarge, "payload_too_large", "More than 1 MiB at once.");
  const UtcMicros now = context.clock.now();
  const auto versions = co_await context.database.write(
      context.scope,
      [install = context.install, name_space = storage.name_space, writes,
       now](sql::TenantTx& tx) -> Result<std::vector<std::int64_t>> {
        std::vector<std::int64_t> numbers;
        for (const ItemWrite& write : writes) {
          BH_TRY(const std::int64_t version, put_item(tx, install, name_space, write, now));
          numbers.push_back(version);
        }
        return numbers;
      });
  if (!versions) co_return host_error(versions.error());
  json::array numbers;
  for (const std::int64_t version : *versions) numbers.emplace_back(version);
  co_return host_answer({{"versions", std::move(numbers)}});
}

}  // namespace

HostFunctions storage_functions(sql::Database& database, const Clock& clock) {
  using Function = Task<HostResult> (*)(CallContext, json::value);
  const auto function = [&database, &clock](std::string name, Function serve) {
    return HostFunction{
        std::move(name), "storage.kv", [&database, &clock, serve](HostCallContext context, json::value request) {
          return serve({database, clock, context.scope(), context.install().install_id}, std::move(request));
        }};
  };
  return {function("storage.get", storage_get),   function("storage.put", storage_put),
          function("storage.set", storage_put),   function("storage.delete", storage_delete),
          function("storage.list", storage_list), function("storage.bulk_put", storage_bulk_put)};
}

}  // namespace bulkhead::broker
