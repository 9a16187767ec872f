// Token buckets per route group × (address, principal, tenant), in memory of this process (contracts/access.md, Rate
// limits).
//
// A bucket is one number, the time at which it will be full again (GCRA, the "virtual scheduling" form of ITU-T I.371):
// no refill loop, and a bucket that is full holds no information, so it can be forgotten. Buckets live in a table of
// fixed size, in sets of eight; a full set forgets the bucket that is nearest to full. Keys are hashed with a secret
// (SipHash-128), so that nobody can aim at another's set. IPv6 addresses count per /64, which is what one client gets.
//
// Thread-safe: one short lock per bucket, out of 256 by set; cores that serve different clients rarely meet.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "features/access/admission.h"
#include "platform/observe/metrics.h"

namespace bulkhead::guard {

struct Rate {
  double per_second = 0;  // 0: not limited
  double burst = 0;       // tokens of a full bucket; at least 1 where limited
};

struct ClassLimits {
  Rate address;
  Rate principal;
  Rate tenant;
};

struct RateLimits {
  std::array<ClassLimits, access::kLimitClasses> classes{};
  ClassLimits& of(access::LimitClass limit) { return classes[static_cast<std::size_t>(limit)]; }
  const ClassLimits& of(access::LimitClass limit) const { return classes[static_cast<std::size_t>(limit)]; }
};
// What holds without configuration: generous to honest clients, in the way of floods. kAuth counts refused credentials.
RateLimits default_rate_limits();

class RateLimiter final : public access::AdmissionPort {
 public:
  // `buckets` is rounded up to a power of two; 24 bytes each. `clock` and `registry` outlive the limiter.
  RateLimiter(const RateLimits& limits, std::size_t buckets, const Clock& clock, Random& random,
              metrics::Registry& registry);
  ~RateLimiter() override;

  access::Admission admit(access::LimitClass limit, const access::AdmissionClient& client,
                          const access::Principal& principal) override;
  access::Admission may_try_credential(const access::AdmissionClient& client) override;
  void note_refused_credential(const access::AdmissionClient& client) override;

 private:
  enum class By : std::uint8_t { kAddress, kPrincipal, kTenant };
  struct Limit;
  struct Bucket {
    std::uint64_t tag_high = 0, tag_low = 0;
    std::int64_t full_at = 0;  // steady nanoseconds; at or before now = full
  };
  struct Stripe {
    std::mutex mutex;
  };
  struct Taken;
  class Ask;
  const Limit& limit_of(access::LimitClass limit, By by) const;
  Bucket hash(const Limit& limit, std::string_view identity) const;
  Taken take(const Limit& limit, const Bucket& key, std::int64_t now, std::int64_t cost);
  void give_back(const Limit& limit, const Bucket& key);
  Bucket& find(Bucket* set, const Bucket& key, std::int64_t now);

  static constexpr std::size_t kWays = 8;
  static constexpr std::size_t kStripes = 256;
  const Clock& clock_;
  std::vector<Limit> limits_;  // class × By
  std::vector<Bucket> buckets_;
  std::size_t set_mask_;
  std::unique_ptr<std::array<Stripe, kStripes>> stripes_;
  metrics::Counter& evicted_;
};

}  // namespace bulkhead::guard
