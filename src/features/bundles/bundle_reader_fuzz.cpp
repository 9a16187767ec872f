// Input: a packed bundle. It is also taken as a bare tar and packed first, so that the fuzzer reaches the
// tar reader without having to make zstd frames.
#include "features/bundles/bundle_reader.h"
#include "features/bundles/paths.h"
#include "features/bundles/tar_forge.h"

namespace {

void read(std::string_view bytes) {
  const bulkhead::bundles::ArchiveLimits limits{.archive = bulkhead::Bytes{1U << 20U},
                                                .unpacked = bulkhead::Bytes{1U << 20U},
                                                .file = bulkhead::Bytes{1U << 18U},
                                                .entries = 64,
                                                .ratio = 200};
  const auto bundle = bulkhead::bundles::read_bundle(bytes, limits);
  if (!bundle) return;
  for (const auto& entry : bundle->archive.entries) {
    BH_ASSERT(!bulkhead::bundles::path_problem(entry.path));
    BH_ASSERT(entry.size <= limits.file);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read(bytes);
  read(bulkhead::bundles::forge::compress(bytes, 1));
  return 0;
}
