// EnvelopeCache: secrets as they are stored, still encrypted, so that a guest's read costs no query. Absence is
// remembered too. Bounded in entries and bytes; an entry is used for `keep` at most, which bounds how long a node that
// no event reaches can serve what was changed elsewhere. Thread-safe.
//
// A fill that began before an eviction is discarded: take `ticket` before the query, give it to `keep` after.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"

namespace bulkhead::secrets {

class EnvelopeCache {
 public:
  struct Limits {
    std::size_t entries = 16'384;
    Bytes bytes = 32_MiB;
    Millis keep{5'000};
  };
  // null: known to be absent.
  using Stored = std::shared_ptr<const std::string>;

  EnvelopeCache(const Clock& clock, Limits limits) : clock_(clock), limits_(limits) {}

  // nullopt: not known.
  std::optional<Stored> find(const InstallId& install, std::string_view key);
  std::uint64_t ticket(const InstallId& install);
  void keep(const InstallId& install, std::string_view key, Stored envelope, std::uint64_t ticket);
  void evict(const InstallId& install);
  void evict_all();

 private:
  struct Entry {
    Stored envelope;
    SteadyTime until;
  };
  struct Shard {
    std::mutex mutex;
    std::uint64_t evictions = 0;
    std::size_t bytes = 0;
    std::unordered_map<std::string, Entry> entries;
  };
  static constexpr std::size_t kShards = 16;

  Shard& shard_of(const InstallId& install) { return shards_[std::hash<InstallId>{}(install) % kShards]; }

  const Clock& clock_;
  const Limits limits_;
  std::array<Shard, kShards> shards_;
};

}  // namespace bulkhead::secrets
