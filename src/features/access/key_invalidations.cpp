#include "features/access/key_invalidations.h"

#include <algorithm>

namespace bulkhead::access {
namespace {

constexpr std::string_view kTopic = "policy.invalidate.";

}  // namespace

KeyInvalidations::KeyInvalidations(bus::Bus& bus, Core& core) : bus_(bus) {
  subscription_ = bus.subscribe(core, std::string(kTopic) + "*",
                                {.message =
                                     [this](const bus::Message& message) {
                                       const auto key =
                                           ApiKeyId::parse(std::string_view(message.topic).substr(kTopic.size()));
                                       record(key.value_or(ApiKeyId()));
                                     },
                                 .lost = [this] { record(ApiKeyId()); }});
}

void KeyInvalidations::announce(const ApiKeyId& key) {
  record(key);
  bus_.publish({std::string(kTopic) + key.to_string(), "{}"});
}

void KeyInvalidations::announce_all() {
  record(ApiKeyId());
  bus_.publish({std::string(kTopic) + "all", "{}"});
}

void KeyInvalidations::record(const ApiKeyId& key) {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t next = generation_.load(std::memory_order_relaxed) + 1;
  recent_[next % kRemembered] = key;
  if (key.is_nil()) all_before_ = next;
  generation_.store(next, std::memory_order_release);
}

std::optional<std::vector<ApiKeyId>> KeyInvalidations::since(std::uint64_t seen) const {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t now = generation_.load(std::memory_order_relaxed);
  if (seen < all_before_ || now - seen > kRemembered) return std::nullopt;
  std::vector<ApiKeyId> keys;
  keys.reserve(now - seen);
  for (std::uint64_t g = seen + 1; g <= now; ++g) keys.push_back(recent_[g % kRemembered]);
  return keys;
}

bool KeyInvalidations::touched(const ApiKeyId& key, std::uint64_t seen) const {
  if (generation() == seen) return false;
  const auto keys = since(seen);
  return !keys || std::ranges::find(*keys, key) != keys->end();
}

}  // namespace bulkhead::access
