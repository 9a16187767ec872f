#include "features/guard/rate_limiter.h"

#include <sodium.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/error.h"

namespace bulkhead::guard {
namespace {

using access::Admission;
using access::AdmissionClient;
using access::LimitClass;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::array<std::string_view, 3> kByNames = {"address", "principal", "tenant"};

// The bytes that an address counts as.
struct AddressKey {
  std::array<char, 16> bytes{};
  std::size_t size = 0;
  std::string_view view() const { return {bytes.data(), size}; }
};

AddressKey key_of(const boost::asio::ip::address& address) {
  AddressKey key;
  if (address.is_v4()) {
    const auto bytes = address.to_v4().to_bytes();
    std::memcpy(key.bytes.data(), bytes.data(), key.size = 4);
  } else {
    const auto bytes = address.to_v6().to_bytes();
    const bool mapped = address.to_v6().is_v4_mapped();
    std::memcpy(key.bytes.data(), bytes.data() + (mapped ? 12 : 0), key.size = mapped ? 4 : 8);
  }
  return key;
}

}  // namespace

RateLimits default_rate_limits() {
  RateLimits limits;
  limits.of(LimitClass::kAuth) = {.address = {5, 50}, .principal = {}, .tenant = {}};
  limits.of(LimitClass::kRead) = {.address = {500, 2'000}, .principal = {500, 2'000}, .tenant = {1'000, 4'000}};
  limits.of(LimitClass::kWrite) = {.address = {100, 400}, .principal = {100, 400}, .tenant = {200, 800}};
  limits.of(LimitClass::kExecute) = {.address = {2'000, 8'000}, .principal = {2'000, 8'000}, .tenant = {5'000, 20'000}};
  limits.of(LimitClass::kUpload) = {.address = {5, 50}, .principal = {5, 50}, .tenant = {10, 100}};
  return limits;
}

struct RateLimiter::Limit {
  std::int64_t interval = 0;  // nanoseconds per token; 0: not limited
  std::int64_t capacity = 0;  // nanoseconds of a full bucket: burst × interval
  std::string name;           // "\"read-address\""
  std::string policy;         // "\"read-address\";q=2000;w=4"
  std::array<unsigned char, crypto_shorthash_siphashx24_KEYBYTES> hash_key{};
  metrics::Counter* refused = nullptr;
};

struct RateLimiter::Taken {
  bool taken = true;
  std::int64_t wait = 0;       // nanoseconds until there is a token
  std::int64_t remaining = 0;  // tokens
  std::int64_t until_full = 0;
};

RateLimiter::RateLimiter(const RateLimits& limits, std::size_t buckets, const Clock& clock, Random& random,
                         metrics::Registry& registry)
    : clock_(clock),
      buckets_(std::bit_ceil(std::max(buckets, kWays))),
      set_mask_(buckets_.size() / kWays - 1),
      stripes_(std::make_unique<std::array<Stripe, kStripes>>()),
      evicted_(registry.counter("rate_limiter_evictions_total", "Buckets forgotten before they were full again")) {
  std::array<unsigned char, crypto_shorthash_siphashx24_KEYBYTES> secret{};
  random.fill(secret);
  for (std::size_t c = 0; c < access::kLimitClasses; ++c) {
    const std::string class_name(access::to_string(static_cast<LimitClass>(c)));
    const ClassLimits& of_class = limits.classes[c];
    for (std::size_t by = 0; by < kByNames.size(); ++by) {
      const Rate rate = std::array{of_class.address, of_class.principal, of_class.tenant}[by];
      Limit limit;
      limit.hash_key = secret;
      limit.hash_key[0] ^= static_cast<unsigned char>(c * kByNames.size() + by);
      limit.name = "\"" + class_name + "-" + std::string(kByNames[by]) + "\"";
      limit.refused = &registry.counter("rate_limited_total", "Refused requests by route group and what was counted",
                                        {{"group", class_name}, {"by", std::string(kByNames[by])}});
      if (rate.per_second > 0) {
        const double burst = std::max(rate.burst, 1.0);
        limit.interval = std::max<std::int64_t>(std::llround(static_cast<double>(kSecond) / rate.per_second), 1);
        limit.capacity = std::llround(burst) * limit.interval;
        limit.policy = limit.name + ";q=" + std::to_string(std::llround(burst)) +
                       ";w=" + std::to_string(std::max<std::int64_t>(limit.capacity / kSecond, 1));
      }
      limits_.push_back(std::move(limit));
    }
  }
}

RateLimiter::~RateLimiter() = default;

const RateLimiter::Limit& RateLimiter::limit_of(LimitClass limit, By by) const {
  return limits_[static_cast<std::size_t>(limit) * kByNames.size() + static_cast<std::size_t>(by)];
}

RateLimiter::Bucket RateLimiter::hash(const Limit& limit, std::string_view identity) const {
  std::array<unsigned char, crypto_shorthash_siphashx24_BYTES> digest{};
  crypto_shorthash_siphashx24(digest.data(), reinterpret_cast<const unsigned char*>(identity.data()), identity.size(),
                              limit.hash_key.data());
  Bucket key;
  std::memcpy(&key.tag_high, digest.data(), 8);
  std::memcpy(&key.tag_low, digest.data() + 8, 8);
  return key;
}

// The key's bucket, or the place that it takes: an unused or full one, else the one that is nearest to full.
RateLimiter::Bucket& RateLimiter::find(Bucket* set, const Bucket& key, std::int64_t now) {
  Bucket* place = set;
  for (Bucket* bucket = set; bucket != set + kWays; ++bucket) {
    if (bucket->tag_high == key.tag_high && bucket->tag_low == key.tag_low) return *bucket;
    if (bucket->full_at < place->full_at) place = bucket;
  }
  if (place->full_at > now) evicted_.add();
  *place = {key.tag_high, key.tag_low, now};
  return *place;
}

RateLimiter::Taken RateLimiter::take(const Limit& limit, const Bucket& key, std::int64_t now, std::int64_t cost) {
  const std::size_t set = key.tag_high & set_mask_;
  const std::scoped_lock lock((*stripes_)[set % kStripes].mutex);
  Bucket& bucket = find(buckets_.data() + set * kWays, key, now);
  const std::int64_t full_at = std::max(bucket.full_at, now);
  const std::int64_t after = full_at + limit.interval;
  Taken result;
  if (after - now > limit.capacity) {
    result.taken = false;
    result.wait = after - now - limit.capacity;
    result.until_full = full_at - now;
    return result;
  }
  bucket.full_at = full_at + cost * limit.interval;
  result.remaining = (limit.capacity - (bucket.full_at - now)) / limit.interval;
  result.until_full = bucket.full_at - now;
  return result;
}

void RateLimiter::give_back(const Limit& limit, const Bucket& key) {
  const std::size_t set = key.tag_high & set_mask_;
  const std::scoped_lock lock((*stripes_)[set % kStripes].mutex);
  Bucket* begin = buckets_.data() + set * kWays;
  for (Bucket* bucket = begin; bucket != begin + kWays; ++bucket) {
    if (bucket->tag_high == key.tag_high && bucket->tag_low == key.tag_low) bucket->full_at -= limit.interval;
  }
}

// One request's way through its buckets: takes one token of each, and gives all back when one is empty. The headers
// speak of the bucket that has the least left.
class RateLimiter::Ask {
 public:
  Ask(RateLimiter& limiter, std::int64_t now) : limiter_(limiter), now_(now) {}

  // False: refused; `answer` says how long.
  bool take(const Limit& limit, std::string_view identity) {
    if (limit.interval == 0) return true;
    const Bucket key = limiter_.hash(limit, identity);
    const Taken result = limiter_.take(limit, key, now_, 1);
    if (!result.taken) {
      refuse(limit, result);
      return false;
    }
    taken_[count_++] = {&limit, key};
    if (answer_.policy.empty() || result.remaining < answer_.remaining) describe(limit, result);
    return true;
  }
  const Admission& answer() const { return answer_; }

 private:
  void refuse(const Limit& limit, const Taken& result) {
    limit.refused->add();
    for (std::size_t i = 0; i < count_; ++i) limiter_.give_back(*taken_[i].first, taken_[i].second);
    describe(limit, result);
    answer_.allowed = false;
    answer_.retry_after = Millis((result.wait + 999'999) / 1'000'000);
  }
  void describe(const Limit& limit, const Taken& result) {
    answer_.policy = limit.policy;
    answer_.name = limit.name;
    answer_.remaining = result.remaining;
    answer_.reset_seconds = (result.until_full + kSecond - 1) / kSecond;
  }
  RateLimiter& limiter_;
  std::int64_t now_;
  Admission answer_;
  std::array<std::pair<const Limit*, Bucket>, 3> taken_{};
  std::size_t count_ = 0;
};

namespace {

std::int64_t nanoseconds(SteadyTime time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

Admission RateLimiter::admit(LimitClass limit, const AdmissionClient& client, const access::Principal& principal) {
  Ask ask(*this, nanoseconds(clock_.steady_now()));
  if (!client.local_socket && !ask.take(limit_of(limit, By::kAddress), key_of(client.address).view())) {
    return ask.answer();
  }
  if (!principal.is_anonymous() && !ask.take(limit_of(limit, By::kPrincipal), principal.credential_id)) {
    return ask.answer();
  }
  if (principal.tenant) {
    const auto& bytes = principal.tenant->uuid().bytes();
    ask.take(limit_of(limit, By::kTenant), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  return ask.answer();
}

Admission RateLimiter::may_try_credential(const AdmissionClient& client) {
  const Limit& limit = limit_of(LimitClass::kAuth, By::kAddress);
  if (client.local_socket || limit.interval == 0) return {};
  // Costs nothing: only looks whether a token is left.
  const Taken result = take(limit, hash(limit, key_of(client.address).view()), nanoseconds(clock_.steady_now()), 0);
  Admission answer;
  if (result.taken) return answer;
  limit.refused->add();
  answer.allowed = false;
  answer.retry_after = Millis((result.wait + 999'999) / 1'000'000);
  return answer;
}

void RateLimiter::note_refused_credential(const AdmissionClient& client) {
  const Limit& limit = limit_of(LimitClass::kAuth, By::kAddress);
  if (client.local_socket || limit.interval == 0) return;
  take(limit, hash(limit, key_of(client.address).view()), nanoseconds(clock_.steady_now()), 1);
}

}  // namespace bulkhead::guard
