// The storage.* host calls on extension_kv_store: JSON values under (install, namespace, key), each with a version that
// grows by one at every write. Shapes: api/abi/storage.*.json.
//
// Keys are 1–512 bytes of UTF-8, namespaces up to 128 bytes, values up to 1 MiB of JSON text (contracts/extensions.md
// §3). An item past its TTL is absent for every call and removed in the background.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "platform/sql/database.h"

namespace bulkhead::broker {

inline constexpr std::size_t kMaxKey = 512;
inline constexpr std::size_t kMaxNamespace = 128;
inline constexpr Bytes kMaxValue = 1_MiB;
inline constexpr std::size_t kMaxBulkItems = 100;
inline constexpr int kMaxListLimit = 1000;

struct StoredItem {
  std::string value_json;
  std::int64_t version = 0;
};
struct ItemName {
  InstallId install;
  std::string name_space;
  std::string key;
};
struct ItemWrite {
  std::string key;
  std::string value_json;
  std::optional<std::int64_t> if_version;  // 0 = only when absent; else only when at this version → kConflict
  std::optional<UtcMicros> expires_at;
};
struct ItemPage {
  struct Item {
    std::string key;
    std::int64_t version = 0;
  };
  std::vector<Item> items;
  bool more = false;
};

Result<StoredItem> get_item(sql::TenantTx& tx, const ItemName& name, UtcMicros now);  // kNotFound
// The new version.
Result<std::int64_t> put_item(sql::TenantTx& tx, const InstallId& install, const std::string& name_space,
                              const ItemWrite& write, UtcMicros now);
// Fine when absent, unless `if_version` asks for one (kConflict).
Status delete_item(sql::TenantTx& tx, const ItemName& name, std::optional<std::int64_t> if_version, UtcMicros now);
// In order of key bytes; `after` is exclusive.
Result<ItemPage> list_items(sql::TenantTx& tx, const InstallId& install, const std::string& name_space,
                            const std::string& prefix, const std::string& after, int limit, UtcMicros now);
// Everything of an install that is gone.
Status remove_items_of(sql::TenantTx& tx, const InstallId& install);
// Removes at most `limit` expired items of all tenants. Returns how many.
Result<std::int64_t> remove_expired_items(sql::SystemTx& tx, UtcMicros now, int limit);

}  // namespace bulkhead::broker
