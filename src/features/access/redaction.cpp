#include "features/access/redaction.h"

#include <algorithm>
#include <array>
#include <string>

namespace bulkhead::access {
namespace {

// Compared without '-' and '_', in lower case. A name that contains one of these is secret…
constexpr std::array<std::string_view, 11> kSecretParts = {"password",   "passwd",     "secret",     "apikey",
                                                           "privatekey", "accesskey",  "credential", "authorization",
                                                           "cookie",     "passphrase", "signingkey"};
// …as is one that ends with "token" ("access_token", but not "token_count"), or is one of these.
constexpr std::array<std::string_view, 3> kSecretNames = {"jwt", "otp", "pin"};

constexpr std::array<std::string_view, 5> kSecretTexts = {"bh_key_", "bh_pat_", "sbp_", "Bearer ", "-----BEGIN"};

bool is_secret_text(std::string_view text) {
  return std::ranges::any_of(kSecretTexts, [&](std::string_view start) { return text.starts_with(start); });
}

}  // namespace

bool is_secret_name(std::string_view name) {
  std::string plain;
  plain.reserve(name.size());
  for (const char c : name) {
    if (c == '-' || c == '_') continue;
    plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  const auto contains = [&](std::string_view part) { return plain.find(part) != std::string::npos; };
  if (std::ranges::any_of(kSecretParts, contains)) return true;
  return plain.ends_with("token") || std::ranges::find(kSecretNames, plain) != kSecretNames.end();
}

std::size_t redact(json::value& value) {
  std::size_t replaced = 0;
  if (value.is_object()) {
    for (auto& member : value.get_object()) {
      if (is_secret_name(member.key()) && !member.value().is_null()) {
        member.value() = kRedacted;
        ++replaced;
      } else {
        replaced += redact(member.value());
      }
    }
  } else if (value.is_array()) {
    for (auto& item : value.get_array()) replaced += redact(item);
  } else if (value.is_string() && is_secret_text(value.get_string())) {
    value = kRedacted;
    ++replaced;
  }
  return replaced;
}

}  // namespace bulkhead::access
