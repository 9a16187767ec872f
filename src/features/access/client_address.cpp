#include "features/access/client_address.h"

#include <algorithm>

namespace bulkhead::access {
namespace {

namespace ip = boost::asio::ip;
constexpr std::size_t kHopLimit = 64;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool names_equal(std::string_view a, std::string_view lower_case) {
  return std::ranges::equal(a, lower_case, [](char x, char y) { return lower(x) == y; });
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Splits at `separator` outside quoted strings; nullopt when a quote stays open.
std::optional<std::vector<std::string_view>> split_unquoted(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  bool quoted = false;
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == separator && !quoted) {
      if (parts.size() == kHopLimit) return std::nullopt;
      parts.push_back(trim(text.substr(start, i - start)));
      start = i + 1;
    }
  }
  if (quoted) return std::nullopt;
  parts.push_back(trim(text.substr(start)));
  return parts;
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.size() <= 5 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Every field of that name, as one list of hops; nullopt when one is malformed or there are too many.
using Hops = std::vector<std::string_view>;
std::optional<Hops> collect_hops(const net::Headers& headers, std::string_view name, bool forwarded) {
  Hops hops;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const auto [field, value] = headers.at(i);
    if (!names_equal(field, name)) continue;
    const auto part = forwarded ? forwarded_for(value) : split_unquoted(value, ',');
    if (!part || hops.size() + part->size() > kHopLimit) return std::nullopt;
    hops.insert(hops.end(), part->begin(), part->end());
  }
  return hops;
}

}  // namespace

std::optional<std::vector<std::string_view>> forwarded_for(std::string_view field) {
  const auto elements = split_unquoted(field, ',');
  if (!elements) return std::nullopt;
  std::vector<std::string_view> nodes;
  for (const std::string_view element : *elements) {
    const auto pairs = split_unquoted(element, ';');
    if (!pairs) return std::nullopt;
    std::string_view node;
    for (const std::string_view pair : *pairs) {
      const auto equals = pair.find('=');
      if (equals == std::string_view::npos || !names_equal(pair.substr(0, equals), "for")) continue;
      if (!node.empty()) return std::nullopt;  // RFC 7239 §4: once per element
      node = pair.substr(equals + 1);
      if (node.size() >= 2 && node.front() == '"' && node.back() == '"') node = node.substr(1, node.size() - 2);
    }
    nodes.push_back(node);
  }
  return nodes;
}

std::optional<ip::address> node_address(std::string_view node) {
  std::string_view host = node, port;
  if (node.starts_with('[')) {
    const auto end = node.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = node.substr(1, end - 1);
    port = node.substr(end + 1);
    if (host.find(':') == std::string_view::npos) return std::nullopt;
  } else if (std::ranges::count(node, ':') == 1) {
    host = node.substr(0, node.find(':'));
    port = node.substr(node.find(':'));
  }
  if (!port.empty() && !(port.front() == ':' && is_digits(port.substr(1)))) return std::nullopt;
  if (host.empty() || host.size() > 45 || host.find('%') != std::string_view::npos) return std::nullopt;
  boost::system::error_code failure;
  auto address = ip::make_address(host, failure);
  if (failure) return std::nullopt;
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    address = ip::make_address_v4(ip::v4_mapped, address.to_v6());
  }
  return address;
}

ip::address client_address(const net::RequestHead& head, const std::vector<AddressRange>& trusted) {
  if (trusted.empty()) return head.peer;
  if (!head.peer_is_local_socket && !any_contains(trusted, head.peer)) return head.peer;
  auto hops = collect_hops(head.headers, "forwarded", true);
  // A malformed Forwarded is not made good by what X-Forwarded-For says.
  if (!hops) return head.peer;
  if (hops->empty()) hops = collect_hops(head.headers, "x-forwarded-for", false);
  if (!hops) return head.peer;
  ip::address client = head.peer;
  for (std::size_t i = hops->size(); i-- > 0;) {
    const auto address = node_address((*hops)[i]);
    if (!address) break;
    client = *address;
    if (!any_contains(trusted, client)) break;
  }
  return client;
}

}  // namespace bulkhead::access
