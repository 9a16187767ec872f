// FetchRequest: the JSON of http.fetch (api/abi/http.fetch.json), read and checked. Everything about the shape, the
// method and the headers is decided here; whether the host is granted is not. Plain values.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"
#include "features/egress/target_url.h"

namespace bulkhead::egress {

inline constexpr std::size_t kMaxHeaderCount = 64;
inline constexpr Bytes kMaxHeaderBytes = 16_KiB;
inline constexpr Millis kDefaultFetchTime{10'000};
inline constexpr Millis kMaxFetchTime{30'000};

struct FetchHeader {
  std::string name;           // lower case
  std::string value;          // for a secret: what stands before it ("Bearer ")
  std::string secret_handle;  // empty: none
};

enum class Redirects : std::uint8_t { kFollow, kManual, kError };

struct FetchRequest {
  std::string method = "GET";
  TargetUrl url;
  std::vector<FetchHeader> headers;  // no name twice
  std::string body;
  Millis timeout = kDefaultFetchTime;
  Redirects redirects = Redirects::kFollow;

  const FetchHeader* header(std::string_view name) const;
};

FetchResult<FetchRequest> parse_fetch_request(const json::value& document);

// Turns the request into the one that a redirect asks for (RFC 9110 §15.4 as browsers do it, Fetch standard
// "HTTP-redirect fetch"): 303, and 301/302 of a POST, become a GET without a body; credentials and secrets don't go to
// another origin; https never becomes http (−1 "scheme_downgrade").
FetchResult<void> apply_redirect(FetchRequest& request, int status, std::string_view location);

}  // namespace bulkhead::egress
