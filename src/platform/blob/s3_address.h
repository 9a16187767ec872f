// URLs of one bucket, in the form that AWS signatures are computed over: paths percent-encoded by RFC 3986, queries
// sorted by name and encoded, with "=" on every key. Plain value.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/blob/stores.h"

namespace bulkhead::blob {

class S3Address {
 public:
  // kBadRequest: the endpoint, bucket, region or prefix is not valid.
  static Result<S3Address> make(const S3Options& options);

  std::string object_url(std::string_view key) const;
  std::string bucket_url(std::vector<std::pair<std::string, std::string>> query = {}) const;

 private:
  std::string base_;    // up to and with the slash behind the bucket's place
  std::string prefix_;  // of keys
};

// Percent-encodes everything but unreserved characters and "/".
std::string encode_path(std::string_view path);

}  // namespace bulkhead::blob
