// The one SSRF guard (contracts/access.md, Edge): says which addresses may be dialled for targets that a tenant or
// guest chose. It judges the address actually dialled, after DNS, so a name that changes its answer gains nothing: hand
// `dial_guard()` to the HTTP client (ClientRequest::dial_guard), or call `check` before connecting.
//
// Without an allowlist only global unicast addresses pass. With one, the address must also lie inside it; the allowlist
// opens private ranges (RFC 1918, ULA, CGNAT), but never loopback, unspecified, multicast, broadcast, link-local,
// metadata, reserved and IPv4-in-IPv6 addresses, nor our own listeners. Operator-configured back ends don't go through
// the guard.
//
// A refusal names the class of the address and never the address. Immutable once made; safe to share between threads.
#pragma once

#include <array>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhead::net {

enum class AddressClass : std::uint8_t {
  kGlobal,       // the only one that passes by itself
  kPrivate,      // RFC 1918; an allowlist can open it
  kUniqueLocal,  // fc00::/7; an allowlist can open it
  kSharedSpace,  // 100.64.0.0/10, CGNAT; an allowlist can open it
  kLoopback,
  kUnspecified,  // 0.0.0.0, ::
  kMulticast,
  kBroadcast,  // 255.255.255.255
  kLinkLocal,
  kMetadata,  // cloud metadata services, wherever they lie
  kDocumentation,
  kBenchmarking,
  kReserved,      // every other block of the IANA special-purpose registries, and all that is not allocated
  kEmbeddedIpv4,  // IPv4 inside IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo
};
// "loopback", "link_local", …: the reason class of refusals and metrics.
std::string_view to_string(AddressClass address_class);
// By the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates).
AddressClass classify(const boost::asio::ip::address& address);

// "10.0.0.0/8", "2001:db8::/32", or one address. IPv4 and IPv6 blocks only contain addresses of their own family.
class Cidr {
 public:
  // kUnprocessable: not a block, or bits are set beyond the prefix ("10.1.0.0/8" covers more than it seems to say).
  static Result<Cidr> parse(std::string_view text);
  bool contains(const boost::asio::ip::address& address) const;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  unsigned size_ = 0;    // 4 or 16
  unsigned prefix_ = 0;  // bits
};

// An address we listen on. The unspecified address means every address of this machine.
struct OwnListener {
  boost::asio::ip::address address;
  std::uint16_t port = 0;
};

struct SsrfOptions {
  std::vector<Cidr> allowed{};  // empty: no allowlist, global addresses only
  std::vector<OwnListener> listeners{};
  // kTargetDenied for what admins ask for, kCapabilityDenied for guests.
  ErrorCode refusal = ErrorCode::kTargetDenied;
};

class SsrfGuard {
 public:
  explicit SsrfGuard(SsrfOptions options) : options_(std::move(options)) {}

  // The error's detail is the reason class alone.
  Status check(const boost::asio::ip::address& address, std::uint16_t port) const;
  // `check` as the HTTP client wants it. The guard must outlive the requests that carry it.
  std::function<Status(const boost::asio::ip::address&, std::uint16_t)> dial_guard() const;

 private:
  bool is_own_listener(const boost::asio::ip::address& address, std::uint16_t port) const;
  SsrfOptions options_;
};

// The addresses of this machine's interfaces at this moment.
Result<std::vector<boost::asio::ip::address>> interface_addresses();

}  // namespace bulkhead::net
