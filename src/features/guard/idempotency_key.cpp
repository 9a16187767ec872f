#include "features/guard/idempotency_key.h"

#include <algorithm>

#include "base/ids.h"
#include "base/json.h"
#include "base/sha256.h"

namespace bulkhead::guard {
namespace {

constexpr std::size_t kKeyLimit = 255;
constexpr std::size_t kCanonicalLimit = 1024 * 1024;

bool is_visible(char c) { return c > 0x20 && c < 0x7f; }

std::optional<std::string> unquote(std::string_view text) {
  std::string key;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') return std::nullopt;
    if (text[i] == '\\') {
      ++i;
      if (i == text.size() || (text[i] != '"' && text[i] != '\\')) return std::nullopt;
    }
    if (!is_visible(text[i]) && text[i] != ' ') return std::nullopt;
    key += text[i];
  }
  return key;
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

std::optional<std::string> parse_idempotency_key(std::string_view field) {
  const std::string_view text = trim(field);
  std::optional<std::string> key;
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    if (text.size() <= 2 * kKeyLimit + 2) key = unquote(text.substr(1, text.size() - 2));
  } else if (std::ranges::all_of(text, is_visible) && text.find('"') == std::string_view::npos) {
    key = std::string(text);
  }
  if (!key || key->empty() || key->size() > kKeyLimit) return std::nullopt;
  return key;
}

Result<std::optional<std::string>> idempotency_key(const net::Headers& headers) {
  std::optional<std::string> found;
  for (const std::string_view name : {"idempotency-key", "x-idempotency-key"}) {
    const std::size_t count = headers.count(name);
    if (count == 0) continue;
    auto key = count == 1 ? parse_idempotency_key(*headers.find(name)) : std::nullopt;
    if (!key) {
      return fail(ErrorCode::kBadRequest,
                  "Idempotency-Key must be one string of 1 to 255 visible ASCII characters, bare or in quotes.");
    }
    if (found && *found != *key) {
      return fail(ErrorCode::kBadRequest, "Idempotency-Key and X-Idempotency-Key differ.");
    }
    found = std::move(key);
  }
  return found;
}

std::string request_fingerprint(std::string_view method, std::string_view target, std::string_view body) {
  Sha256 hash;
  const auto add = [&hash](std::string_view part) {  // lengths first, so that parts can't run into each other
    hash.update(std::to_string(part.size()) + ":");
    hash.update(part);
  };
  add(method);
  add(target);
  const auto first = body.find_first_not_of(" \t\r\n");
  const bool may_be_json =
      first != std::string_view::npos && body.size() <= kCanonicalLimit && (body[first] == '{' || body[first] == '[');
  const auto parsed = may_be_json ? parse_json(body) : Result<json::value>(fail(ErrorCode::kInvalidJson));
  add(parsed ? "json" : "bytes");
  if (parsed) {
    add(canonical_json(*parsed));
  } else {
    add(body);
  }
  return ContentHash::from_bytes(hash.finish()).to_string();
}

}  // namespace bulkhead::guard
