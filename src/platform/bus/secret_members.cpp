#include <algorithm>
#include <array>

#include "platform/bus/outbox.h"

namespace bulkhead::bus {
namespace {

// "apiKey", "API_KEY", "x-api-key" → {"api", "key"}.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  char before = '_';
  for (const char c : name) {
    const bool is_upper = c >= 'A' && c <= 'Z';
    const bool is_letter = is_upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool starts_word = is_upper && before >= 'a' && before <= 'z';
    if ((!is_letter || starts_word) && !words.back().empty()) words.emplace_back();
    if (is_letter) words.back() += is_upper ? static_cast<char>(c - 'A' + 'a') : c;
    before = c;
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

constexpr std::array<std::string_view, 17> kSecretWords = {
    "password",    "passwd",        "passphrase", "pwd",     "secret", "secrets", "token", "tokens", "credential",
    "credentials", "authorization", "cookie",     "cookies", "jwt",    "bearer",  "otp",   "pin"};
// "key" alone is often a name; with one of these before it, it is not.
constexpr std::array<std::string_view, 9> kKeyKinds = {"api",        "private", "secret", "access", "signing",
                                                       "encryption", "session", "master", "auth"};
constexpr std::array<std::string_view, 6> kJoined = {"apikey",    "privatekey", "secretkey",
                                                     "accesskey", "authtoken",  "accesstoken"};
// A last word that makes it a fact about a secret.
constexpr std::array<std::string_view, 17> kHarmlessEnds = {
    "id",   "ids",   "name",   "names",   "prefix", "count",   "version", "versions", "type",
    "kind", "state", "status", "expires", "at",     "created", "changed", "revoked"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view word) {
  return std::ranges::find(list, word) != list.end();
}

bool looks_secret(std::string_view name) {
  const std::vector<std::string> words = words_of(name);
  if (words.empty()) return false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (contains(kJoined, words[i]) && words.size() == i + 1) return true;
  }
  if (contains(kHarmlessEnds, words.back())) return false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (contains(kSecretWords, words[i]) || contains(kJoined, words[i])) return true;
    const bool is_key = words[i] == "key" || words[i] == "keys";
    if (is_key && i > 0 && contains(kKeyKinds, words[i - 1])) return true;
  }
  return false;
}

std::optional<std::string> find_secret(const json::value& value, const std::string& pointer) {
  if (const json::array* list = value.if_array()) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      if (auto found = find_secret((*list)[i], pointer + "/" + std::to_string(i))) return found;
    }
  }
  const json::object* object = value.if_object();
  if (object == nullptr) return std::nullopt;
  for (const auto& member : *object) {
    std::string here = pointer + "/" + std::string(member.key());
    if (looks_secret(member.key())) return here;
    if (auto found = find_secret(member.value(), here)) return found;
  }
  return std::nullopt;
}

}  // namespace

Status refuse_secret_members(const json::value& payload) {
  const std::optional<std::string> found = find_secret(payload, "");
  if (!found) return {};
  return fail(ErrorCode::kInternal, {}, "the event's member " + *found + " looks like a secret; send an id instead");
}

}  // namespace bulkhead::bus
