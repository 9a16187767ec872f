#include "features/bundles/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto manifest = bulkhead::bundles::parse_manifest(text);
  if (!manifest) {
    BH_ASSERT(manifest.error().code == bulkhead::ErrorCode::kInvalidManifest);
    return 0;
  }
  BH_ASSERT(!manifest->name.empty() && !manifest->entry.empty());
  for (const auto& endpoint : manifest->endpoints) BH_ASSERT(endpoint.path.starts_with('/'));
  return 0;
}
