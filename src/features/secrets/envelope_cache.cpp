#include "features/secrets/envelope_cache.h"

namespace bulkhead::secrets {
namespace {

constexpr std::size_t kIdSize = 16;
constexpr std::size_t kEntryOverhead = 128;  // of the map's node, roughly

// The install's 16 bytes, then the key.
std::string name_of(const InstallId& install, std::string_view key) {
  std::string name(reinterpret_cast<const char*>(install.uuid().bytes().data()), kIdSize);
  return name.append(key);
}

std::size_t size_of(const EnvelopeCache::Stored& envelope) {
  return kEntryOverhead + (envelope ? envelope->size() : 0);
}

}  // namespace

std::optional<EnvelopeCache::Stored> EnvelopeCache::find(const InstallId& install, std::string_view key) {
  Shard& shard = shard_of(install);
  const std::string name = name_of(install, key);
  const SteadyTime now = clock_.steady_now();
  const std::scoped_lock lock(shard.mutex);
  const auto found = shard.entries.find(name);
  if (found == shard.entries.end() || found->second.until <= now) return std::nullopt;
  return found->second.envelope;
}

std::uint64_t EnvelopeCache::ticket(const InstallId& install) {
  Shard& shard = shard_of(install);
  const std::scoped_lock lock(shard.mutex);
  return shard.evictions;
}

void EnvelopeCache::keep(const InstallId& install, std::string_view key, Stored envelope, std::uint64_t ticket) {
  Shard& shard = shard_of(install);
  std::string name = name_of(install, key);
  const std::size_t size = size_of(envelope);
  const SteadyTime until = clock_.steady_now() + limits_.keep;
  const std::scoped_lock lock(shard.mutex);
  if (shard.evictions != ticket) return;
  // A full shard starts anew: entries live for seconds, so this is rare and costs one query each.
  if (shard.entries.size() >= limits_.entries / kShards || shard.bytes + size > limits_.bytes.value / kShards) {
    shard.entries.clear();
    shard.bytes = 0;
  }
  if (const auto old = shard.entries.find(name); old != shard.entries.end())
    shard.bytes -= size_of(old->second.envelope);
  shard.bytes += size;
  shard.entries.insert_or_assign(std::move(name), Entry{std::move(envelope), until});
}

void EnvelopeCache::evict(const InstallId& install) {
  Shard& shard = shard_of(install);
  const std::string name = name_of(install, "");
  const std::scoped_lock lock(shard.mutex);
  ++shard.evictions;
  std::erase_if(shard.entries, [&](const auto& item) {
    if (!item.first.starts_with(name)) return false;
    shard.bytes -= size_of(item.second.envelope);
    return true;
  });
}

void EnvelopeCache::evict_all() {
  for (Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    ++shard.evictions;
    shard.entries.clear();
    shard.bytes = 0;
  }
}

}  // namespace bulkhead::secrets
