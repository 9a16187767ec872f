// The port through which routes ask whether a request may go on at its rate. guard::RateLimiter implements it; access
// only knows this face, so that the layers stay one-way.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <string_view>

#include "base/time.h"
#include "features/access/principal.h"

namespace bulkhead::access {

// Route groups that are limited apart (contracts/access.md, Rate limits).
enum class LimitClass : std::uint8_t { kAuth, kRead, kWrite, kExecute, kUpload, kInternal };
inline constexpr std::size_t kLimitClasses = 6;
std::string_view to_string(LimitClass limit);

// Where a request comes from: what an address limit counts.
struct AdmissionClient {
  boost::asio::ip::address address;
  bool local_socket = false;  // a Unix socket has no address: only principal and tenant are counted
};

struct Admission {
  bool allowed = true;
  Millis retry_after{0};  // when not allowed
  // For the RateLimit and RateLimit-Policy headers; `policy` empty: no limit applies, no headers. Points into the port.
  std::string_view policy;  // "\"read\";q=200;w=1"
  std::string_view name;    // "\"read\""
  std::int64_t remaining = 0;
  std::int64_t reset_seconds = 0;
};

// Thread-safe; never waits.
class AdmissionPort {
 public:
  virtual ~AdmissionPort() = default;
  // Takes one token of each bucket that applies (address, principal, tenant), or none.
  virtual Admission admit(LimitClass limit, const AdmissionClient& client, const Principal& principal) = 0;
  // Asked before a credential that is not cached is looked up: have too many of this address failed?
  virtual Admission may_try_credential(const AdmissionClient& client) = 0;
  virtual void note_refused_credential(const AdmissionClient& client) = 0;
};

}  // namespace bulkhead::access
