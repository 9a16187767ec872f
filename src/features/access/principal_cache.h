// One core's memory of credentials: hash of the credential → who that is, or that it is nobody.
//
// Fixed size, no allocation after construction: sets of four entries, picked by the hash's own bits (uniform, so no
// second hashing). A full set forgets what expires first. Refusals live in a table of their own, so that guessing can't
// push valid keys out. Not thread-safe: one per core, used on that core only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/sha256.h"
#include "base/time.h"
#include "features/access/address_range.h"
#include "features/access/principal.h"

namespace bulkhead::access {

// A credential that was good when it was looked up.
struct KnownCredential {
  PrincipalPtr principal;
  ApiKeyId key;                            // nil for service tokens
  std::optional<UtcMicros> expires_at;     // the credential's own end
  std::vector<AddressRange> ip_allowlist;  // empty: any address
};
using KnownCredentialPtr = std::shared_ptr<const KnownCredential>;

class PrincipalCache {
 public:
  // Rounded up to powers of two.
  PrincipalCache(std::size_t known_entries, std::size_t refused_entries);

  // Null when not there or past its time.
  const KnownCredential* find(const Sha256Digest& digest, SteadyTime now) const;
  bool is_refused(const Sha256Digest& digest, SteadyTime now) const;
  void keep(const Sha256Digest& digest, KnownCredentialPtr known, SteadyTime until);
  void keep_refused(const Sha256Digest& digest, SteadyTime until);
  void forget(const ApiKeyId& key);
  void forget_all();

 private:
  static constexpr std::size_t kWays = 4;
  template <typename T>
  struct Entry {
    Sha256Digest digest{};
    SteadyTime until{};
    [[no_unique_address]] T value{};
  };
  template <typename T>
  struct Table {
    explicit Table(std::size_t entries);
    Entry<T>* set_of(const Sha256Digest& digest);
    const Entry<T>* find(const Sha256Digest& digest, SteadyTime now) const;
    void keep(const Sha256Digest& digest, T value, SteadyTime until);
    std::vector<Entry<T>> entries;
    std::size_t mask;  // sets - 1
  };
  struct Nothing {};
  Table<KnownCredentialPtr> known_;
  Table<Nothing> refused_;
};

}  // namespace bulkhead::access
