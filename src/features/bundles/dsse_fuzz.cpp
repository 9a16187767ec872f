#include "features/bundles/dsse.h"
#include "features/bundles/signing.h"

namespace {

// A fixed key, so that no input verifies: whatever gets past the parser must end as invalid or untrusted.
const bulkhead::bundles::TrustBundle& trust() {
  static const auto bundle = bulkhead::bundles::TrustBundle::make(
      {{"fuzz",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
        "-----END PUBLIC KEY-----\n",
        {"*"}}});
  BH_ASSERT(bundle.has_value());
  return *bundle;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto envelope = bulkhead::bundles::parse_envelope(text)) {
    (void)bulkhead::bundles::parse_statement(envelope->payload);
  }
  (void)bulkhead::bundles::parse_statement(text);
  const bulkhead::bundles::ArchiveSummary archive;
  BH_ASSERT(!bulkhead::bundles::verify_signature({.archive = archive,
                                                  .extension_name = "com.example.a",
                                                  .extension_version = "1.0.0",
                                                  .embedded = text,
                                                  .detached = std::nullopt,
                                                  .published_at = std::nullopt},
                                                 trust()));
  return 0;
}
