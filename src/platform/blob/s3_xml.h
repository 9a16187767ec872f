// The two XML documents of S3 that matter here. The server is the operator's, its answers are still bytes from outside:
// bounded, no document types, no entities but the five of XML.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhead::blob {

struct S3Listing {
  std::vector<std::string> keys;
  bool truncated = false;
  std::string next;  // continuation token when truncated
};
// ListBucketResult of ListObjectsV2. kBlobUnavailable when it is not one.
Result<S3Listing> parse_listing(std::string_view xml);

// <Error><Code>: "NoSuchKey"; empty when there is none to be found.
std::string parse_error_code(std::string_view xml);

}  // namespace bulkhead::blob
