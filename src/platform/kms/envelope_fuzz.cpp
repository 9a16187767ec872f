#include "platform/kms/envelope.h"

// Whatever parses must survive being written and read again, and must not exceed the bounds.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bulkhead::kms;
  const auto envelope = parse_envelope({reinterpret_cast<const char*>(data), size});
  if (!envelope) return 0;
  BH_ASSERT(is_valid_kid(envelope->kid) && envelope->kid.size() <= kMaxKid);
  BH_ASSERT(envelope->ciphertext.size() <= kMaxPlaintext && envelope->wrapped_key.size() <= kMaxWrappedKey);
  const auto again = parse_envelope(to_text(*envelope));
  BH_ASSERT(again.has_value() && *again == *envelope);
  return 0;
}
