// How much of request bodies the gateway keeps in memory at once. A body is whole before its call is dispatched, and
// may arrive slowly; without a bound the connections of one tenant could fill the memory that everybody's calls need.
//
// Each body holds its share until its call is over. Thread-safe; outlives its shares.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"

namespace bulkhead::gateway {

class BodyBudget {
 public:
  BodyBudget(Bytes whole, Bytes per_tenant) : whole_(whole.value), per_tenant_(per_tenant.value) {}

  // What one body has taken.
  class Share {
   public:
    Share(BodyBudget& budget, TenantId tenant) : budget_(budget), tenant_(tenant) {}
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    // kConcurrencyExceeded where the tenant has no more, kOverloaded where nobody has; nothing is taken then.
    Status take(std::size_t bytes);

   private:
    BodyBudget& budget_;
    TenantId tenant_;
    std::uint64_t taken_ = 0;
  };

 private:
  const std::uint64_t whole_, per_tenant_;
  std::mutex mutex_;
  std::uint64_t taken_ = 0;
  std::unordered_map<TenantId, std::uint64_t> tenants_;
};

}  // namespace bulkhead::gateway
