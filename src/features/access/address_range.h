// A block of IP addresses: "10.0.0.0/8", "2001:db8::/32", or one address. For IP allowlists and trusted proxies.
// IPv4-mapped IPv6 addresses (::ffff:a.b.c.d) count as IPv4. Plain values.
#pragma once

#include <array>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhead::access {

class AddressRange {
 public:
  // nullopt for anything else, zone ids and blocks with bits set beyond the prefix ("10.1.0.0/8") included: an entry
  // that covers more than it seems to say is a mistake.
  static std::optional<AddressRange> parse(std::string_view text);
  bool contains(const boost::asio::ip::address& address) const;
  std::string to_string() const;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  std::uint8_t size_ = 0;    // 4 or 16
  std::uint8_t prefix_ = 0;  // in bits
};

bool any_contains(const std::vector<AddressRange>& ranges, const boost::asio::ip::address& address);

// kUnprocessable that names the first entry that is not a range.
Result<std::vector<AddressRange>> parse_address_ranges(const std::vector<std::string>& texts);

}  // namespace bulkhead::access
