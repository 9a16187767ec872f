// EgressPattern: one host that an extension may reach, as manifests and grants write it: "api.example.com",
// "*.example.org:443". A wildcard stands for one or more labels; without a port 80 and 443 are meant (the schemes'
// own).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::bundles {

class EgressPattern {
 public:
  // Host names of letters, digits and hyphens (any case; kept in lower case), an optional leading "*." before at least
  // two labels, an optional port. No scheme, path, user or IPv6 literal.
  static std::optional<EgressPattern> parse(std::string_view text);

  std::string to_string() const;
  bool matches(std::string_view host, std::uint16_t port) const;
  // Everything that `other` matches is matched by this one too.
  bool covers(const EgressPattern& other) const;
  bool operator==(const EgressPattern&) const = default;

 private:
  bool covers_host(std::string_view host, bool host_is_wildcard) const;
  bool wildcard_ = false;
  std::string host_;  // lower case, without "*."
  std::optional<std::uint16_t> port_;
};

// Patterns of `wanted` that no pattern of `allowed` covers, or that don't parse.
std::vector<std::string> egress_beyond(const std::vector<std::string>& wanted, const std::vector<std::string>& allowed);

}  // namespace bulkhead::bundles
