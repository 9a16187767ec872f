#include "platform/blob/s3_address.h"

#include <algorithm>

#include "platform/blob/blob_key.h"
#include "platform/net/http.h"

namespace bulkhead::blob {
namespace {

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// AWS's bucket naming rules; they keep a bucket from changing the URL's meaning.
bool is_bucket_name(std::string_view name) {
  if (name.size() < 3 || name.size() > 63) return false;
  if (!is_lower_or_digit(name.front()) || !is_lower_or_digit(name.back())) return false;
  return std::ranges::all_of(name, [](char c) { return is_lower_or_digit(c) || c == '-' || c == '.'; });
}

bool is_region(std::string_view region) {
  return !region.empty() && std::ranges::all_of(region, [](char c) { return is_lower_or_digit(c) || c == '-'; });
}

bool is_authority(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || std::string_view("-._:[]").contains(c);
  });
}

}  // namespace

std::string encode_path(std::string_view path) {
  std::string encoded;
  while (true) {
    const auto slash = path.find('/');
    encoded += net::percent_encode(path.substr(0, slash));
    if (slash == std::string_view::npos) return encoded;
    encoded += '/';
    path.remove_prefix(slash + 1);
  }
}

Result<S3Address> S3Address::make(const S3Options& options) {
  const auto bad = [](std::string message) { return fail(ErrorCode::kBadRequest, std::move(message)); };
  std::string_view authority = options.endpoint;
  if (authority.ends_with('/')) authority.remove_suffix(1);
  const std::string_view scheme = authority.starts_with("https://") ? "https://" : "http://";
  if (!authority.starts_with(scheme)) return bad("The S3 endpoint must begin with https:// or http://.");
  authority.remove_prefix(scheme.size());
  if (!is_authority(authority)) return bad("The S3 endpoint must be a scheme, a host and maybe a port.");
  if (!is_bucket_name(options.bucket)) return bad("The S3 bucket's name is not valid.");
  if (!is_region(options.region)) return bad("The S3 region is not valid.");
  if (!options.key_prefix.empty() && (!options.key_prefix.ends_with('/') || !check_prefix(options.key_prefix))) {
    return bad("The S3 key prefix must be a relative path that ends in a slash.");
  }
  S3Address address;
  address.prefix_ = options.key_prefix;
  address.base_ = options.addressing == S3Options::Addressing::kPath
                      ? std::string(scheme) + std::string(authority) + "/" + options.bucket + "/"
                      : std::string(scheme) + options.bucket + "." + std::string(authority) + "/";
  return address;
}

std::string S3Address::object_url(std::string_view key) const {
  return base_ + encode_path(prefix_ + std::string(key));
}

std::string S3Address::bucket_url(std::vector<std::pair<std::string, std::string>> query) const {
  std::ranges::sort(query);
  auto url = base_;
  char separator = '?';
  for (const auto& [name, value] : query) {
    url += separator + net::percent_encode(name) + "=" + net::percent_encode(value);
    separator = '&';
  }
  return url;
}

}  // namespace bulkhead::blob
