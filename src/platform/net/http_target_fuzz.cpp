// Percent coding and query parsing: no crash, and encoding brings back what was decoded.
#include <cstddef>
#include <cstdint>
#include <string>

#include "platform/net/http.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bulkhead;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto decoded = net::percent_decode(text)) {
    BH_ASSERT(!decoded->contains('\0'));
    BH_ASSERT(net::percent_decode(net::percent_encode(*decoded)) == decoded);
  }
  if (const auto query = net::parse_query(text)) {
    std::string again;
    for (const auto& [name, value] : *query) {
      again += net::percent_encode(name) + '=' + net::percent_encode(value) + '&';
    }
    const auto reread = net::parse_query(again);
    BH_ASSERT(reread && reread->size() == query->size());
    for (std::size_t i = 0; i < query->size(); ++i) {
      BH_ASSERT((*reread)[i].name == (*query)[i].name && (*reread)[i].value == (*query)[i].value);
    }
  }
  return 0;
}
