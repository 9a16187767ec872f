#include "features/access/address_range.h"

#include <algorithm>
#include <charconv>

namespace bulkhead::access {
namespace {

namespace ip = boost::asio::ip;

struct Bytes16 {
  std::array<std::uint8_t, 16> bytes{};
  std::uint8_t size = 0;
};

Bytes16 bytes_of(const ip::address& address) {
  Bytes16 out;
  if (address.is_v6() && !address.to_v6().is_v4_mapped()) {
    out.bytes = address.to_v6().to_bytes();
    out.size = 16;
    return out;
  }
  const auto v4 =
      address.is_v4() ? address.to_v4().to_bytes() : ip::make_address_v4(ip::v4_mapped, address.to_v6()).to_bytes();
  std::ranges::copy(v4, out.bytes.begin());
  out.size = 4;
  return out;
}

bool bit(const std::array<std::uint8_t, 16>& bytes, unsigned index) {
  return ((bytes[index / 8] >> (7 - index % 8)) & 1) != 0;
}

}  // namespace

std::optional<AddressRange> AddressRange::parse(std::string_view text) {
  const auto slash = text.find('/');
  const std::string_view host = text.substr(0, slash);
  if (host.size() > 45 || host.find('%') != std::string_view::npos) return std::nullopt;
  boost::system::error_code failure;
  const auto address = ip::make_address(host, failure);
  if (failure) return std::nullopt;
  AddressRange range;
  const Bytes16 bytes = bytes_of(address);
  range.bytes_ = bytes.bytes;
  range.size_ = bytes.size;
  range.prefix_ = static_cast<std::uint8_t>(bytes.size * 8);
  if (slash == std::string_view::npos) return range;

  // A mapped address has no prefix of its own that would make sense in either family.
  if (address.is_v6() && bytes.size == 4) return std::nullopt;
  const std::string_view length = text.substr(slash + 1);
  unsigned prefix = 0;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), prefix);
  if (error != std::errc{} || end != length.data() + length.size() || prefix > range.prefix_) return std::nullopt;
  for (unsigned i = prefix; i < range.prefix_; ++i) {
    if (bit(range.bytes_, i)) return std::nullopt;
  }
  range.prefix_ = static_cast<std::uint8_t>(prefix);
  return range;
}

bool AddressRange::contains(const ip::address& address) const {
  const Bytes16 other = bytes_of(address);
  if (other.size != size_) return false;
  const unsigned whole = prefix_ / 8U;
  if (!std::equal(bytes_.begin(), bytes_.begin() + whole, other.bytes.begin())) return false;
  const unsigned rest = prefix_ % 8U;
  if (rest == 0) return true;
  return (bytes_[whole] >> (8 - rest)) == (other.bytes[whole] >> (8 - rest));
}

std::string AddressRange::to_string() const {
  std::string host;
  if (size_ == 4) {
    host = ip::address_v4({bytes_[0], bytes_[1], bytes_[2], bytes_[3]}).to_string();
  } else {
    host = ip::address_v6(bytes_).to_string();
  }
  return prefix_ == size_ * 8 ? host : host + "/" + std::to_string(prefix_);
}

bool any_contains(const std::vector<AddressRange>& ranges, const ip::address& address) {
  return std::ranges::any_of(ranges, [&](const AddressRange& range) { return range.contains(address); });
}

Result<std::vector<AddressRange>> parse_address_ranges(const std::vector<std::string>& texts) {
  std::vector<AddressRange> ranges;
  ranges.reserve(texts.size());
  for (const std::string& text : texts) {
    const auto range = AddressRange::parse(text);
    if (!range) {
      return fail(ErrorCode::kUnprocessable,
                  "\"" + text + "\" is not an address or a block such as 192.0.2.0/24 or 2001:db8::/32.");
    }
    ranges.push_back(*range);
  }
  return ranges;
}

}  // namespace bulkhead::access
