#include "features/gateway/header_policy.h"

#include <algorithm>
#include <array>

namespace bulkhead::gateway {
namespace {

constexpr std::array<std::string_view, 3> kPassedAsTheyAre = {"accept", "content-type", "accept-encoding"};
constexpr std::array<std::string_view, 3> kPassedBack = {"content-type", "etag", "last-modified"};
constexpr std::size_t kMaxUserAgent = 256;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

// Calls `visit` with each lower-cased directive name of a cache-control value.
template <typename Visit>
void for_each_directive(std::string_view value, Visit visit) {
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    std::string_view directive = value.substr(0, comma);
    value.remove_prefix(std::min(comma + 1, value.size()));
    directive = directive.substr(0, directive.find('='));
    while (!directive.empty() && (directive.front() == ' ' || directive.front() == '\t')) directive.remove_prefix(1);
    while (!directive.empty() && (directive.back() == ' ' || directive.back() == '\t')) directive.remove_suffix(1);
    visit(lower(directive));
  }
}

}  // namespace

std::string normalized_user_agent(std::string_view value) {
  std::string out;
  for (const char c : value.substr(0, kMaxUserAgent)) {
    if (c >= 0x20 && c < 0x7f) out += c;
  }
  return out;
}

bool is_safe_location(std::string_view value) {
  if (value.empty() || value[0] != '/') return false;
  if (value.size() > 1 && (value[1] == '/' || value[1] == '\\')) return false;
  // Browsers drop tabs and line breaks inside a URL, so "/\t/host" would be "//host".
  return std::ranges::none_of(value, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; });
}

std::string safe_cache_control(std::string_view value) {
  bool is_public = false;
  bool is_private = false;
  for_each_directive(value, [&](const std::string& directive) {
    is_public = is_public || directive == "public" || directive == "s-maxage";
    is_private = is_private || directive == "private" || directive == "no-store" || directive == "no-cache";
  });
  if (is_public) return "";
  return is_private ? std::string(value) : "private, " + std::string(value);
}

protocol::StringPairs guest_request_headers(const net::Headers& client, const GuestRequestIdentity& identity) {
  protocol::StringPairs headers;
  headers.reserve(8);
  for (const std::string_view name : kPassedAsTheyAre) {
    if (const auto value = client.find(name)) headers.emplace_back(name, *value);
  }
  if (const auto agent = client.find("user-agent")) headers.emplace_back("user-agent", normalized_user_agent(*agent));
  headers.emplace_back("x-request-id", identity.request_id);
  headers.emplace_back("x-alga-tenant", identity.tenant_id);
  headers.emplace_back("x-alga-extension", identity.extension_id);
  if (!identity.idempotency_key.empty()) headers.emplace_back("x-idempotency-key", identity.idempotency_key);
  return headers;
}

void add_client_headers(net::Headers& out, const protocol::StringPairs& guest) {
  for (const auto& [name, value] : guest) {
    if (std::ranges::find(kPassedBack, std::string_view(name)) != kPassedBack.end() || name.starts_with("x-ext-")) {
      out.add(name, value);
    } else if (name == "location" && is_safe_location(value)) {
      out.add(name, value);
    } else if (name == "cache-control") {
      if (const std::string safe = safe_cache_control(value); !safe.empty()) out.add(name, safe);
    }
  }
  add_protective_headers(out);
}

void add_protective_headers(net::Headers& out) {
  out.set("content-security-policy", "sandbox; default-src 'none'");
  out.set("x-content-type-options", "nosniff");
}

}  // namespace bulkhead::gateway
