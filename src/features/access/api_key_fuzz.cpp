// Whatever is presented as a key: no crash, and only texts of the exact form pass.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "features/access/api_key.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (bulkhead::access::is_api_key(text) && text.size() != bulkhead::access::kApiKeySize) std::abort();
  return 0;
}
