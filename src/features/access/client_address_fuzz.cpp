// Forwarded and X-Forwarded-For as any client may send them: no crash, always some address.
#include <cstddef>
#include <cstdint>

#include "features/access/client_address.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bulkhead;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  net::RequestHead head;
  head.peer = boost::asio::ip::make_address("10.0.0.1");
  head.headers.add(size % 2 == 0 ? "forwarded" : "x-forwarded-for", text);
  static const std::vector<access::AddressRange> kTrusted = {*access::AddressRange::parse("10.0.0.0/8")};
  static_cast<void>(access::client_address(head, kTrusted));
  return 0;
}
