#include "platform/net/ssrf_guard.h"

#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <span>

namespace bulkhead::net {
namespace {

namespace ip = boost::asio::ip;
using Class = AddressClass;

struct V4Block {
  std::uint32_t network;
  unsigned prefix;
  Class address_class;
};

constexpr std::uint32_t v4(unsigned a, unsigned b, unsigned c, unsigned d) { return a << 24U | b << 16U | c << 8U | d; }

// IANA IPv4 Special-Purpose Address Registry, and the metadata services of clouds that lie outside 169.254.0.0/16. The
// first block that contains an address decides.
constexpr std::array kV4Blocks = {
    V4Block{v4(169, 254, 169, 254), 32, Class::kMetadata},  // AWS, Google, Azure, OpenStack, …
    V4Block{v4(169, 254, 170, 2), 32, Class::kMetadata},    // AWS ECS task credentials
    V4Block{v4(169, 254, 170, 23), 32, Class::kMetadata},   // AWS EKS pod identity
    V4Block{v4(100, 100, 100, 200), 32, Class::kMetadata},  // Alibaba Cloud, inside CGNAT space
    V4Block{v4(168, 63, 129, 16), 32, Class::kMetadata},    // Azure's wire server, a public address
    V4Block{v4(192, 0, 0, 192), 32, Class::kMetadata},      // Oracle Cloud, first generation
    V4Block{v4(0, 0, 0, 0), 32, Class::kUnspecified},
    V4Block{v4(0, 0, 0, 0), 8, Class::kReserved},         // "this network", RFC 791 §3.2
    V4Block{v4(10, 0, 0, 0), 8, Class::kPrivate},         // RFC 1918
    V4Block{v4(100, 64, 0, 0), 10, Class::kSharedSpace},  // RFC 6598
    V4Block{v4(127, 0, 0, 0), 8, Class::kLoopback},
    V4Block{v4(169, 254, 0, 0), 16, Class::kLinkLocal},       // RFC 3927
    V4Block{v4(172, 16, 0, 0), 12, Class::kPrivate},          // RFC 1918
    V4Block{v4(192, 0, 0, 0), 24, Class::kReserved},          // IETF protocol assignments, RFC 6890
    V4Block{v4(192, 0, 2, 0), 24, Class::kDocumentation},     // RFC 5737
    V4Block{v4(192, 31, 196, 0), 24, Class::kReserved},       // AS112, RFC 7535
    V4Block{v4(192, 52, 193, 0), 24, Class::kReserved},       // AMT, RFC 7450
    V4Block{v4(192, 88, 99, 0), 24, Class::kReserved},        // 6to4 relays, RFC 7526
    V4Block{v4(192, 168, 0, 0), 16, Class::kPrivate},         // RFC 1918
    V4Block{v4(192, 175, 48, 0), 24, Class::kReserved},       // AS112, RFC 7534
    V4Block{v4(198, 18, 0, 0), 15, Class::kBenchmarking},     // RFC 2544
    V4Block{v4(198, 51, 100, 0), 24, Class::kDocumentation},  // RFC 5737
    V4Block{v4(203, 0, 113, 0), 24, Class::kDocumentation},   // RFC 5737
    V4Block{v4(224, 0, 0, 0), 4, Class::kMulticast},          // RFC 5771
    V4Block{v4(255, 255, 255, 255), 32, Class::kBroadcast},
    V4Block{v4(240, 0, 0, 0), 4, Class::kReserved},  // RFC 1112 §4
};

using V6Bytes = std::array<std::uint8_t, 16>;

struct V6Block {
  V6Bytes network;
  unsigned prefix;
  Class address_class;
};

// IANA IPv6 Special-Purpose Address Registry. What no block contains is global inside 2000::/3 and reserved outside.
constexpr std::array kV6Blocks = {
    V6Block{{}, 128, Class::kUnspecified},
    V6Block{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, Class::kLoopback},
    V6Block{{0xFD, 0x00, 0x0E, 0xC2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, Class::kMetadata},  // AWS
    V6Block{{0xFD, 0x00, 0x0E, 0xC2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x23}, 128, Class::kMetadata},     // AWS EKS
    V6Block{{0xFD, 0x20, 0x00, 0xCE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, Class::kMetadata},  // Google
    V6Block{{0xFD, 0x00, 0x00, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x42}, 128, Class::kMetadata},     // Scaleway
    V6Block{{0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xA9, 0xFE, 0xA9, 0xFE}, 128, Class::kMetadata},  // OpenStack
    V6Block{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, 96, Class::kEmbeddedIpv4},  // mapped, RFC 4291 §2.5.5.2
    V6Block{{0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0}, 96, Class::kEmbeddedIpv4},  // translated, RFC 2765
    V6Block{{}, 96, Class::kEmbeddedIpv4},                                          // compatible, RFC 4291 §2.5.5.1
    V6Block{{0x00, 0x64, 0xFF, 0x9B}, 96, Class::kEmbeddedIpv4},                    // NAT64, RFC 6052
    V6Block{{0x00, 0x64, 0xFF, 0x9B, 0x00, 0x01}, 48, Class::kEmbeddedIpv4},        // local NAT64, RFC 8215
    V6Block{{0x20, 0x01, 0x00, 0x00}, 32, Class::kEmbeddedIpv4},                    // Teredo, RFC 4380
    V6Block{{0x20, 0x02}, 16, Class::kEmbeddedIpv4},                                // 6to4, RFC 3056
    V6Block{{0x20, 0x01, 0x00, 0x02, 0x00, 0x00}, 48, Class::kBenchmarking},        // RFC 5180
    V6Block{{0x20, 0x01, 0x0D, 0xB8}, 32, Class::kDocumentation},                   // RFC 3849
    V6Block{{0x3F, 0xFF, 0x00}, 20, Class::kDocumentation},                         // RFC 9637
    V6Block{{0x20, 0x01, 0x00}, 23, Class::kReserved},                              // IETF protocols, RFC 2928
    V6Block{{0x26, 0x20, 0x00, 0x4F, 0x80, 0x00}, 48, Class::kReserved},            // AS112, RFC 7534
    V6Block{{0xFC}, 7, Class::kUniqueLocal},                                        // RFC 4193
    V6Block{{0xFE, 0x80}, 10, Class::kLinkLocal},                                   // RFC 4291
    V6Block{{0xFF}, 8, Class::kMulticast},                                          // RFC 4291
};

// Do the first `prefix` bits agree?
bool shares_prefix(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b, unsigned prefix) {
  const auto whole = prefix / 8;
  if (!std::equal(a.begin(), a.begin() + whole, b.begin())) return false;
  const auto rest = prefix % 8;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8U - rest)) == 0;
}

Class classify_v4(std::uint32_t address) {
  for (const auto& block : kV4Blocks) {
    if (((address ^ block.network) >> (32U - block.prefix)) == 0) return block.address_class;
  }
  return Class::kGlobal;
}

Class classify_v6(const V6Bytes& bytes) {
  for (const auto& block : kV6Blocks) {
    if (shares_prefix(bytes, block.network, block.prefix)) return block.address_class;
  }
  constexpr V6Bytes kGlobalUnicast{0x20};
  return shares_prefix(bytes, kGlobalUnicast, 3) ? Class::kGlobal : Class::kReserved;
}

bool can_be_opened(Class address_class) {
  return address_class == Class::kGlobal || address_class == Class::kPrivate || address_class == Class::kUniqueLocal ||
         address_class == Class::kSharedSpace;
}

std::unexpected<Error> bad_block(std::string_view text) {
  return fail(ErrorCode::kUnprocessable, "\"" + std::string(text.substr(0, 64)) +
                                             "\" is not an address block such as 10.0.0.0/8 or 2001:db8::/32.");
}

struct FreeInterfaces {
  void operator()(ifaddrs* list) const { ::freeifaddrs(list); }
};

}  // namespace

std::string_view to_string(AddressClass address_class) {
  constexpr std::array<std::string_view, 14> kNames = {
      "global",    "private",    "unique_local", "shared_space",  "loopback",     "unspecified", "multicast",
      "broadcast", "link_local", "metadata",     "documentation", "benchmarking", "reserved",    "embedded_ipv4"};
  return kNames.at(static_cast<std::size_t>(address_class));
}

AddressClass classify(const ip::address& address) {
  return address.is_v4() ? classify_v4(address.to_v4().to_uint()) : classify_v6(address.to_v6().to_bytes());
}

Result<Cidr> Cidr::parse(std::string_view text) {
  if (text.size() > 64) return bad_block(text);
  const auto slash = text.find('/');
  const std::string host(text.substr(0, slash));
  boost::system::error_code failed;
  const auto address = ip::make_address(host, failed);
  if (failed || host.find('%') != std::string::npos) return bad_block(text);
  Cidr cidr;
  if (address.is_v4()) {
    std::ranges::copy(address.to_v4().to_bytes(), cidr.bytes_.begin());
    cidr.size_ = 4;
  } else {
    cidr.bytes_ = address.to_v6().to_bytes();
    cidr.size_ = 16;
  }
  cidr.prefix_ = cidr.size_ * 8;
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    unsigned prefix = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
    const bool canonical = digits.size() == 1 || (!digits.empty() && digits[0] != '0');
    if (error != std::errc() || end != digits.data() + digits.size() || !canonical) return bad_block(text);
    if (prefix > cidr.prefix_) return bad_block(text);
    cidr.prefix_ = prefix;
  }
  for (unsigned bit = cidr.prefix_; bit < cidr.size_ * 8; ++bit) {
    if ((cidr.bytes_.at(bit / 8) >> (7U - bit % 8) & 1U) != 0) {
      return fail(ErrorCode::kUnprocessable, "\"" + std::string(text) + "\" has bits set beyond its prefix.");
    }
  }
  return cidr;
}

bool Cidr::contains(const ip::address& address) const {
  if (address.is_v4()) return size_ == 4 && shares_prefix(bytes_, address.to_v4().to_bytes(), prefix_);
  return size_ == 16 && shares_prefix(bytes_, address.to_v6().to_bytes(), prefix_);
}

Status SsrfGuard::check(const ip::address& address, std::uint16_t port) const {
  const auto refuse = [&](std::string_view reason) {
    return fail(options_.refusal, "The target address is not allowed (" + std::string(reason) + ").",
                std::string(reason));
  };
  const auto address_class = classify(address);
  if (!can_be_opened(address_class)) return refuse(to_string(address_class));
  if (is_own_listener(address, port)) return refuse("own_listener");
  if (options_.allowed.empty()) {
    if (address_class != AddressClass::kGlobal) return refuse(to_string(address_class));
    return {};
  }
  for (const auto& block : options_.allowed) {
    if (block.contains(address)) return {};
  }
  return refuse("not_in_allowlist");
}

std::function<Status(const ip::address&, std::uint16_t)> SsrfGuard::dial_guard() const {
  return [this](const ip::address& address, std::uint16_t port) { return check(address, port); };
}

bool SsrfGuard::is_own_listener(const ip::address& address, std::uint16_t port) const {
  for (const auto& listener : options_.listeners) {
    if (listener.port != port) continue;
    if (listener.address == address) return true;
    // Interfaces come and go, so they are read now; only a matching port costs that.
    if (!listener.address.is_unspecified()) continue;
    const auto addresses = interface_addresses();
    if (!addresses || std::ranges::find(*addresses, address) != addresses->end()) return true;
  }
  return false;
}

Result<std::vector<ip::address>> interface_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0)
    return fail(ErrorCode::kInternal, {}, "getifaddrs: " + std::string(std::strerror(errno)));
  const std::unique_ptr<ifaddrs, FreeInterfaces> owner(list);
  std::vector<ip::address> addresses;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    if (entry->ifa_addr->sa_family == AF_INET) {
      sockaddr_in v4_address{};
      std::memcpy(&v4_address, entry->ifa_addr, sizeof v4_address);
      addresses.emplace_back(ip::address_v4(ntohl(v4_address.sin_addr.s_addr)));
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      sockaddr_in6 v6_address{};
      std::memcpy(&v6_address, entry->ifa_addr, sizeof v6_address);
      V6Bytes bytes{};
      std::memcpy(bytes.data(), &v6_address.sin6_addr, bytes.size());
      addresses.emplace_back(ip::address_v6(bytes));  // without its scope, so that it compares equal
    }
  }
  return addresses;
}

}  // namespace bulkhead::net
