// Which cached keys must be forgotten: one per node, between whoever changes keys and every core's cache.
//
// `announce` evicts on this node before it returns: a core's next look at its cache compares the generation (one atomic
// load of a line that is almost never written) and drops the named entries first. Other nodes hear it by the bus topic
// `policy.invalidate.<key id>` (`policy.invalidate.all`); lost messages evict everything. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "platform/bus/bus.h"

namespace bulkhead::access {

class KeyInvalidations {
 public:
  // Listens to `bus` on `core`. Destroyed after the cores stopped.
  KeyInvalidations(bus::Bus& bus, Core& core);

  // Call after the change is committed.
  void announce(const ApiKeyId& key);
  void announce_all();

  // Grows with each invalidation; never 0.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  // The keys invalidated after generation `seen`; nullopt = forget all.
  std::optional<std::vector<ApiKeyId>> since(std::uint64_t seen) const;
  // Whether this key was invalidated after generation `seen`.
  bool touched(const ApiKeyId& key, std::uint64_t seen) const;

 private:
  void record(const ApiKeyId& key);  // nil = all
  bus::Bus& bus_;
  static constexpr std::size_t kRemembered = 256;
  mutable std::mutex mutex_;
  std::array<ApiKeyId, kRemembered> recent_;  // generation g is at g % kRemembered
  std::uint64_t all_before_ = 0;              // the last generation that meant all
  alignas(64) std::atomic<std::uint64_t> generation_{1};
  std::unique_ptr<bus::Subscription> subscription_;
};

}  // namespace bulkhead::access
