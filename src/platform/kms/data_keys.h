// DataKeys: the data keys in memory, so that neither a write nor a read asks the KMS each time.
//
// Two bounded parts. Keys to seal with: one for each tenant and epoch; an epoch ends by uses, bytes or time, and when
// the key-encryption key was rotated. Keys to open with: found by their wrapped form, kept for a while after they were
// unwrapped. What leaves is wiped once nobody uses it any more. Thread-safe; never waits for anything but its locks.
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
#include "base/secret_string.h"
#include "base/time.h"
#include "platform/kms/kms.h"

namespace bulkhead::kms {

struct DataKeyLimits {
  // NIST SP 800-38D §8.3: at most 2³² messages under one key with random IVs.
  std::uint64_t uses = std::uint64_t{1} << 32U;
  Bytes sealed = 64_GiB;
  Millis epoch{std::chrono::hours(24)};
  std::size_t tenants = 4'096;  // whose sealing keys are kept
  std::size_t opened = 8'192;   // unwrapped keys kept
  Millis keep_opened{std::chrono::minutes(10)};
};

using DataKeyPtr = std::shared_ptr<const SecretString>;

struct SealingKey {
  WrappedKey wrapped;
  DataKeyPtr key;
};

class DataKeys {
 public:
  DataKeys(const Clock& clock, DataKeyLimits limits) : clock_(clock), limits_(limits) {}

  // The tenant's key for one more message of `size` bytes, counted; nothing when a fresh one is needed.
  std::optional<SealingKey> take_sealing_key(const TenantId& tenant, const std::string& current_kid, std::size_t size);
  // Begins an epoch, with the first use of `size` bytes counted.
  void begin_epoch(const TenantId& tenant, const SealingKey& key, std::size_t size);
  void end_epoch(const TenantId& tenant);

  DataKeyPtr find(const TenantId& tenant, const std::string& kid, std::string_view wrapped);
  void keep(const TenantId& tenant, const WrappedKey& wrapped, DataKeyPtr key);

  // Wipes what is past its time.
  void drop_expired();
  std::size_t size() const;

 private:
  struct Epoch {
    SealingKey key;
    std::uint64_t uses = 0;
    std::uint64_t bytes = 0;
    SteadyTime until;
  };
  struct Opened {
    DataKeyPtr key;
    SteadyTime until;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, Opened> keys;
  };
  static constexpr std::size_t kShards = 16;

  Shard& shard_of(const std::string& name) { return shards_[std::hash<std::string>{}(name) % kShards]; }

  const Clock& clock_;
  const DataKeyLimits limits_;
  mutable std::mutex epochs_mutex_;
  std::unordered_map<TenantId, Epoch> epochs_;
  std::array<Shard, kShards> shards_;
};

}  // namespace bulkhead::kms
