#include "features/egress/header_policy.h"

#include <algorithm>
#include <array>
#include <vector>

#include "platform/net/field_syntax.h"

namespace bulkhead::egress {
namespace {

constexpr std::array<std::string_view, 9> kHopByHop = {"connection", "keep-alive",     "te",
                                                       "trailer",    "trailers",       "transfer-encoding",
                                                       "upgrade",    "http2-settings", "alt-used"};

template <std::size_t Size>
bool is_one_of(const std::array<std::string_view, Size>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// The names that fields called `connection` list.
std::vector<std::string> connection_options(const net::Headers& headers) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const auto [name, value] = headers.at(i);
    if (lower(name) != "connection") continue;
    for (std::string_view rest = value; !rest.empty();) {
      const auto comma = std::min(rest.find(','), rest.size());
      names.push_back(lower(trim(rest.substr(0, comma))));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return names;
}

}  // namespace

FieldRule request_field_rule(std::string_view name) {
  constexpr std::array<std::string_view, 8> kOwn = {"host",    "content-length", "expect",      "cookie",
                                                    "cookie2", "set-cookie",     "set-cookie2", "via"};
  if (name == "traceparent" || name == "tracestate") return FieldRule::kIgnored;
  if (is_one_of(kHopByHop, name) || is_one_of(kOwn, name)) return FieldRule::kForbidden;
  if (name.starts_with("proxy-") || name.starts_with("sec-")) return FieldRule::kForbidden;
  return FieldRule::kPass;
}

bool is_credential_field(std::string_view name) {
  constexpr std::array<std::string_view, 10> kNames = {
      "authorization", "x-api-key",     "api-key",      "apikey",         "x-auth-token",
      "private-token", "x-vault-token", "x-csrf-token", "x-access-token", "x-amz-security-token"};
  return is_one_of(kNames, name);
}

bool is_body_field(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames = {"content-encoding", "content-language", "content-location",
                                                      "content-type"};
  return is_one_of(kNames, name);
}

bool is_field_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, net::is_token_character);
}

bool is_field_value(std::string_view text) { return std::ranges::none_of(text, net::is_forbidden_control); }

std::map<std::string, std::string> guest_headers(const net::Headers& headers, BodyForm form) {
  const auto listed = connection_options(headers);
  std::map<std::string, std::string> seen;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const auto [field, value] = headers.at(i);
    std::string name = lower(field);
    if (!is_field_name(name) || is_one_of(kHopByHop, name) || name.starts_with("proxy-")) continue;
    if (name == "set-cookie" || name == "set-cookie2" || std::ranges::find(listed, name) != listed.end()) continue;
    if (form == BodyForm::kDecoded && (name == "content-encoding" || name == "content-length")) continue;
    const auto [known, added] = seen.try_emplace(std::move(name), value);
    if (!added) known->second.append(", ").append(value);
  }
  return seen;
}

}  // namespace bulkhead::egress
