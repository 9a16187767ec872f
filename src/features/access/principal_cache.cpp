#include "features/access/principal_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace bulkhead::access {

template <typename T>
PrincipalCache::Table<T>::Table(std::size_t count)
    : entries(std::bit_ceil(std::max(count, kWays))), mask(entries.size() / kWays - 1) {}

template <typename T>
PrincipalCache::Entry<T>* PrincipalCache::Table<T>::set_of(const Sha256Digest& digest) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, digest.data(), sizeof bits);
  return entries.data() + (bits & mask) * kWays;
}

template <typename T>
const PrincipalCache::Entry<T>* PrincipalCache::Table<T>::find(const Sha256Digest& digest, SteadyTime now) const {
  const Entry<T>* set = const_cast<Table*>(this)->set_of(digest);
  for (std::size_t way = 0; way < kWays; ++way) {
    // A plain comparison: the digest is of a secret, not the secret, and an attacker can't choose its bytes.
    if (set[way].until > now && set[way].digest == digest) return &set[way];
  }
  return nullptr;
}

template <typename T>
void PrincipalCache::Table<T>::keep(const Sha256Digest& digest, T value, SteadyTime until) {
  Entry<T>* set = set_of(digest);
  Entry<T>* place = std::find_if(set, set + kWays, [&](const Entry<T>& entry) { return entry.digest == digest; });
  if (place == set + kWays)
    place = std::min_element(set, set + kWays, [](const auto& a, const auto& b) { return a.until < b.until; });
  *place = {digest, until, std::move(value)};
}

PrincipalCache::PrincipalCache(std::size_t known_entries, std::size_t refused_entries)
    : known_(known_entries), refused_(refused_entries) {}

const KnownCredential* PrincipalCache::find(const Sha256Digest& digest, SteadyTime now) const {
  const auto* entry = known_.find(digest, now);
  return entry == nullptr ? nullptr : entry->value.get();
}

bool PrincipalCache::is_refused(const Sha256Digest& digest, SteadyTime now) const {
  return refused_.find(digest, now) != nullptr;
}

void PrincipalCache::keep(const Sha256Digest& digest, KnownCredentialPtr known, SteadyTime until) {
  known_.keep(digest, std::move(known), until);
}

void PrincipalCache::keep_refused(const Sha256Digest& digest, SteadyTime until) { refused_.keep(digest, {}, until); }

void PrincipalCache::forget(const ApiKeyId& key) {
  for (auto& entry : known_.entries) {
    if (entry.value && entry.value->key == key) entry = {};
  }
}

void PrincipalCache::forget_all() {
  std::ranges::fill(known_.entries, Entry<KnownCredentialPtr>{});
  std::ranges::fill(refused_.entries, Entry<Nothing>{});
}

}  // namespace bulkhead::access
