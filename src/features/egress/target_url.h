// TargetUrl: an absolute http or https URL in the one form that everything after it uses: the grant check, the circuit
// breaker, the dialler and the answer. What different parsers read differently (user names, backslashes,
// percent-encoded or oddly written hosts, spaces, controls) is refused, not repaired, so that the host that was checked
// is the host that is dialled. Plain value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "features/egress/fetch_failure.h"

namespace bulkhead::egress {

inline constexpr std::size_t kMaxUrl = 8192;

class TargetUrl {
 public:
  TargetUrl() = default;
  // −2 for what is no such URL; −1 for another scheme ("scheme") and for hosts that are numbers in any form but
  // 192.0.2.1 ("host_form": 0x7f.1, 2130706433, 0300.1). A fragment is dropped.
  static FetchResult<TargetUrl> parse(std::string_view text);
  // What a Location field of this URL's answer points at (RFC 3986 §5.2). Spaces and bytes over 0x7F, which servers
  // send although they must not, are percent-encoded.
  FetchResult<TargetUrl> resolve(std::string_view location) const;

  std::string to_string() const;
  bool is_https() const { return https_; }
  // Lower case: a name, an IPv4 address, or an IPv6 address in brackets.
  const std::string& host() const { return host_; }
  std::uint16_t port() const { return port_; }
  // "api.example.com", "api.example.com:8443": without the scheme's own port.
  std::string authority() const;
  bool same_origin(const TargetUrl& other) const {
    return https_ == other.https_ && port_ == other.port_ && host_ == other.host_;
  }
  bool operator==(const TargetUrl&) const = default;

 private:
  FetchResult<void> parse_authority(std::string_view text);
  FetchResult<void> parse_host(std::string_view text);
  std::string_view path() const { return std::string_view(target_).substr(0, target_.find('?')); }

  bool https_ = false;
  std::string host_;
  std::uint16_t port_ = 0;
  std::string target_ = "/";  // path and query
};

}  // namespace bulkhead::egress
