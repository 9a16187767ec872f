// Any bytes as an S3 answer: bounded work, and a listing that says it goes on also says where.
#include "platform/blob/s3_xml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view xml(reinterpret_cast<const char*>(data), size);
  if (const auto listing = bulkhead::blob::parse_listing(xml)) {
    BH_ASSERT(!listing->truncated || !listing->next.empty());
    for (const auto& key : listing->keys) BH_ASSERT(key.size() <= 8 * 1024);
  }
  BH_ASSERT(bulkhead::blob::parse_error_code(xml).size() <= 64);
  return 0;
}
