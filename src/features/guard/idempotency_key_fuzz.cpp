// Any Idempotency-Key and body: keys stay within the form, and a fingerprint is always made.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "features/guard/idempotency_key.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bulkhead::guard;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto key = parse_idempotency_key(text);
  if (key && (key->empty() || key->size() > 255)) std::abort();
  if (request_fingerprint("POST", "/", text).size() != 71) std::abort();
  return 0;
}
