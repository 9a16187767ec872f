#include "platform/kms/data_keys.h"

#include <algorithm>

namespace bulkhead::kms {
namespace {

// Ours alone: tenant, then kid, then the wrapped bytes; a kid holds no NUL.
std::string name_of(const TenantId& tenant, std::string_view kid, std::string_view wrapped) {
  const auto& id = tenant.uuid().bytes();
  std::string name;
  name.reserve(id.size() + kid.size() + 1 + wrapped.size());
  name.append(reinterpret_cast<const char*>(id.data()), id.size());
  name.append(kid);
  name.push_back('\0');
  name.append(wrapped);
  return name;
}

template <typename Map>
void drop_past(Map& map, SteadyTime now) {
  std::erase_if(map, [now](const auto& entry) { return entry.second.until <= now; });
}

// Any one goes where none is past its time: fetching a key again is cheap.
template <typename Map>
void make_room(Map& map, std::size_t most, SteadyTime now) {
  if (map.size() < most) return;
  drop_past(map, now);
  if (map.size() >= most) map.erase(map.begin());
}

}  // namespace

std::optional<SealingKey> DataKeys::take_sealing_key(const TenantId& tenant, const std::string& current_kid,
                                                     std::size_t size) {
  const SteadyTime now = clock_.steady_now();
  const std::scoped_lock lock(epochs_mutex_);
  const auto found = epochs_.find(tenant);
  if (found == epochs_.end()) return std::nullopt;
  Epoch& epoch = found->second;
  const bool over = epoch.uses >= limits_.uses || epoch.bytes + size > limits_.sealed.value || epoch.until <= now ||
                    epoch.key.wrapped.kid != current_kid;
  if (over) {
    epochs_.erase(found);
    return std::nullopt;
  }
  ++epoch.uses;
  epoch.bytes += size;
  return epoch.key;
}

void DataKeys::begin_epoch(const TenantId& tenant, const SealingKey& key, std::size_t size) {
  const SteadyTime now = clock_.steady_now();
  const std::scoped_lock lock(epochs_mutex_);
  make_room(epochs_, limits_.tenants, now);
  epochs_.insert_or_assign(tenant, Epoch{.key = key, .uses = 1, .bytes = size, .until = now + limits_.epoch});
}

void DataKeys::end_epoch(const TenantId& tenant) {
  const std::scoped_lock lock(epochs_mutex_);
  epochs_.erase(tenant);
}

DataKeyPtr DataKeys::find(const TenantId& tenant, const std::string& kid, std::string_view wrapped) {
  const std::string name = name_of(tenant, kid, wrapped);
  Shard& shard = shard_of(name);
  const SteadyTime now = clock_.steady_now();
  const std::scoped_lock lock(shard.mutex);
  const auto found = shard.keys.find(name);
  if (found == shard.keys.end()) return nullptr;
  if (found->second.until > now) return found->second.key;
  shard.keys.erase(found);
  return nullptr;
}

void DataKeys::keep(const TenantId& tenant, const WrappedKey& wrapped, DataKeyPtr key) {
  std::string name = name_of(tenant, wrapped.kid, wrapped.bytes);
  Shard& shard = shard_of(name);
  const SteadyTime now = clock_.steady_now();
  const std::scoped_lock lock(shard.mutex);
  make_room(shard.keys, std::max<std::size_t>(limits_.opened / kShards, 1), now);
  shard.keys.insert_or_assign(std::move(name), Opened{std::move(key), now + limits_.keep_opened});
}

void DataKeys::drop_expired() {
  const SteadyTime now = clock_.steady_now();
  for (Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    drop_past(shard.keys, now);
  }
  const std::scoped_lock lock(epochs_mutex_);
  drop_past(epochs_, now);
}

std::size_t DataKeys::size() const {
  std::size_t size = 0;
  for (const Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    size += shard.keys.size();
  }
  const std::scoped_lock lock(epochs_mutex_);
  return size + epochs_.size();
}

}  // namespace bulkhead::kms
