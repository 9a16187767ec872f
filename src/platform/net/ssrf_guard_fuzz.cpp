// The guard on any address, and the block parser on any text. What must hold: IPv4 hidden in IPv6 never passes, an
// allowlist of everything opens private ranges and nothing else, and a block contains its own network.
#include <algorithm>
#include <string_view>

#include "platform/net/ssrf_guard.h"

namespace {

using namespace bulkhead::net;
namespace ip = boost::asio::ip;

void judge(const ip::address& address) {
  static const SsrfGuard kClosed({});
  static const SsrfGuard kOpen({.allowed = {*Cidr::parse("0.0.0.0/0"), *Cidr::parse("::/0")}});
  const auto address_class = classify(address);
  const bool private_class = address_class == AddressClass::kPrivate || address_class == AddressClass::kUniqueLocal ||
                             address_class == AddressClass::kSharedSpace;
  BH_ASSERT(kClosed.check(address, 80).has_value() == (address_class == AddressClass::kGlobal));
  BH_ASSERT(kOpen.check(address, 80).has_value() == (address_class == AddressClass::kGlobal || private_class));
  if (address.is_loopback() || address.is_multicast() || address.is_unspecified()) BH_ASSERT(!kOpen.check(address, 80));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size >= 4) {
    ip::address_v4::bytes_type v4{};
    std::copy_n(data, 4, v4.begin());
    judge(ip::address_v4(v4));
    ip::address_v6::bytes_type mapped{};
    mapped[10] = mapped[11] = 0xFF;
    std::copy_n(data, 4, mapped.begin() + 12);
    BH_ASSERT(classify(ip::address_v6(mapped)) == AddressClass::kEmbeddedIpv4);
  }
  if (size >= 16) {
    ip::address_v6::bytes_type v6{};
    std::copy_n(data, 16, v6.begin());
    judge(ip::address_v6(v6));
  }
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto block = Cidr::parse(text)) {
    const auto network = ip::make_address(std::string(text.substr(0, text.find('/'))));
    BH_ASSERT(block->contains(network));
  }
  return 0;
}
