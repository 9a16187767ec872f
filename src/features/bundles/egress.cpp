#include "features/bundles/egress.h"

#include <algorithm>
#include <charconv>

namespace bulkhead::bundles {
namespace {

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

bool is_host_name(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  std::size_t label = 0;
  char previous = '.';
  for (const char c : host) {
    const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (c == '.') {
      if (previous == '.' || previous == '-') return false;
      label = 0;
    } else if (!alphanumeric && (c != '-' || previous == '.')) {
      return false;
    } else if (++label > 63) {
      return false;
    }
    previous = c;
  }
  return previous != '.' && previous != '-';
}

}  // namespace

std::optional<EgressPattern> EgressPattern::parse(std::string_view text) {
  EgressPattern pattern;
  if (const std::size_t colon = text.find(':'); colon != text.npos) {
    const std::string_view digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (failure != std::errc{} || end != digits.data() + digits.size() || port == 0) return std::nullopt;
    pattern.port_ = port;
    text = text.substr(0, colon);
  }
  if (text.starts_with("*.")) {
    pattern.wildcard_ = true;
    text.remove_prefix(2);
    if (!text.contains('.')) return std::nullopt;  // "*.com" would be half the internet
  }
  pattern.host_ = to_lower(text);
  if (!is_host_name(pattern.host_)) return std::nullopt;
  return pattern;
}

std::string EgressPattern::to_string() const {
  return (wildcard_ ? "*." : "") + host_ + (port_ ? ":" + std::to_string(*port_) : "");
}

bool EgressPattern::covers_host(std::string_view host, bool host_is_wildcard) const {
  if (!wildcard_) return !host_is_wildcard && host == host_;
  if (host_is_wildcard && host == host_) return true;
  return host.size() > host_.size() + 1 && host.ends_with(host_) && host[host.size() - host_.size() - 1] == '.';
}

bool EgressPattern::matches(std::string_view host, std::uint16_t port) const {
  if (port_ ? *port_ != port : (port != 80 && port != 443)) return false;
  return covers_host(to_lower(host), false);
}

bool EgressPattern::covers(const EgressPattern& other) const {
  const bool port_covered = port_ == other.port_ || (!port_ && (other.port_ == 80 || other.port_ == 443));
  return port_covered && covers_host(other.host_, other.wildcard_);
}

std::vector<std::string> egress_beyond(const std::vector<std::string>& wanted,
                                       const std::vector<std::string>& allowed) {
  std::vector<std::string> beyond;
  for (const std::string& text : wanted) {
    const auto pattern = EgressPattern::parse(text);
    const bool covered = pattern && std::ranges::any_of(allowed, [&](const std::string& candidate) {
                           const auto parsed = EgressPattern::parse(candidate);
                           return parsed && parsed->covers(*pattern);
                         });
    if (!covered) beyond.push_back(text);
  }
  return beyond;
}

}  // namespace bulkhead::bundles
