#include "platform/kms/keyring.h"

#include <sys/stat.h>
#include <unistd.h>

#include <charconv>

#include "base/json.h"
#include "platform/kms/aes_gcm.h"
#include "platform/kms/envelope.h"
#include "platform/process/file.h"

namespace bulkhead::kms {
namespace {

constexpr Bytes kMaxDocument = 64_KiB;
constexpr std::int64_t kMaxVersion = 999'999'999;

std::unexpected<Error> unusable(const std::string& place, std::string_view why) {
  return fail(ErrorCode::kKeyUnavailable, "The keyring in " + place + " can't be used: " + std::string(why) + ".");
}

SecretString fresh_key(Random& random) {
  SecretString key = SecretString::of_size(kKeySize);
  random.fill({reinterpret_cast<std::uint8_t*>(key.writable().data()), key.size()});
  return key;
}

// Only the server's user may read it: a key that others could copy is no key.
Status check_owner(int file, const std::string& path) {
  struct stat status{};
  if (::fstat(file, &status) != 0) return unusable(path, "its permissions can't be read");
  if (!S_ISREG(status.st_mode)) return unusable(path, "it is not a regular file");
  if (status.st_uid != ::geteuid()) return unusable(path, "it belongs to another user");
  if ((status.st_mode & 077U) != 0) return unusable(path, "others may read it; run chmod 600 on it");
  return {};
}

}  // namespace

Keyring Keyring::generate(Random& random) {
  Keyring keyring;
  std::string id(4, '\0');
  random.fill({reinterpret_cast<std::uint8_t*>(id.data()), id.size()});
  keyring.id_ = "local-" + hex_encode(id);
  keyring.add_version(random);
  return keyring;
}

Result<Keyring> Keyring::parse(std::string_view document, const std::string& place) {
  WipingMemory memory;
  if (document.size() > kMaxDocument.value) return unusable(place, "it is larger than " + to_string(kMaxDocument));
  const auto parsed = parse_json(document, &memory);
  // Not the parser's own words: they could quote the key.
  if (!parsed) return unusable(place, "it is not a JSON document");
  std::vector<FieldError> problems;
  JsonReader reader(*parsed, problems);
  Keyring keyring;
  const auto form = reader.optional_integer("v", 1, 1);
  keyring.id_ = reader.required_string("id").value_or("");
  keyring.current_ = static_cast<std::uint32_t>(reader.optional_integer("current", 1, kMaxVersion).value_or(0));
  const json::value* keys = reader.member("keys");
  reader.refuse_unknown();
  if (!problems.empty()) return unusable(place, problems.front().pointer + " " + problems.front().message);
  if (!form || keys == nullptr || !keys->is_array()) return unusable(place, "it lacks v or keys");
  for (const json::value& item : keys->get_array()) {
    JsonReader inner(item, problems, "/keys");
    const auto version = inner.optional_integer("version", 1, kMaxVersion);
    const json::value* text = inner.member("key");
    inner.refuse_unknown();
    if (!problems.empty() || !version || text == nullptr || !text->is_string()) {
      return unusable(place, "a key is malformed");
    }
    auto bytes = base64url_decode(std::string_view(text->get_string()));
    if (!bytes || bytes->size() != kKeySize) return unusable(place, "a key is not 32 bytes of base64url");
    const WipeAtExit wiped(*bytes);
    if (!keyring.keys_.emplace(static_cast<std::uint32_t>(*version), SecretString(*bytes)).second) {
      return unusable(place, "a version stands twice");
    }
  }
  if (!keyring.keys_.contains(keyring.current_)) return unusable(place, "the current version is not among its keys");
  if (!is_valid_kid(keyring.current_kid())) return unusable(place, "its id is malformed");
  return keyring;
}

Result<Keyring> Keyring::load(const std::string& path) {
  BH_TRY(const process::UniqueFd file, process::open_for_reading(path));
  BH_TRY_VOID(check_owner(file.get(), path));
  BH_TRY(std::string document, process::read_all(file.get(), kMaxDocument));
  const WipeAtExit wiped(document);
  return parse(document, path);
}

Result<Keyring> Keyring::create(const std::string& path, Random& random) {
  const Keyring fresh = generate(random);
  const auto written = process::write_file_atomically(path, fresh.document().view(), 0600, process::IfExists::kRefuse);
  if (!written && written.error().code != ErrorCode::kAlreadyExists) return fail(written.error());
  return load(path);
}

Status Keyring::save(const std::string& path) const {
  return process::write_file_atomically(path, document().view(), 0600, process::IfExists::kReplace);
}

const SecretString* Keyring::find(std::string_view kid) const {
  if (!kid.starts_with(id_) || kid.size() <= id_.size() || kid[id_.size()] != ':') return nullptr;
  const std::string_view digits = kid.substr(id_.size() + 1);
  std::uint32_t version = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), version);
  if (error != std::errc{} || end != digits.data() + digits.size()) return nullptr;
  const auto found = keys_.find(version);
  return found == keys_.end() ? nullptr : &found->second;
}

void Keyring::add_version(Random& random) {
  current_ = keys_.empty() ? 1 : keys_.rbegin()->first + 1;
  keys_.emplace(current_, fresh_key(random));
}

Status Keyring::drop_version(std::uint32_t version) {
  if (version == current_) return fail(ErrorCode::kConflict, "The current version can't be dropped.");
  if (keys_.erase(version) == 0) return fail(ErrorCode::kNotFound, "The keyring has no such version.");
  return {};
}

SecretString Keyring::document() const {
  std::string text;
  // Reserved, so that no half of it stays behind in memory that grew too small.
  text.reserve(128 + id_.size() + keys_.size() * 96);
  const WipeAtExit wiped(text);
  text += R"({"v":1,"id":")" + id_ + R"(","current":)" + std::to_string(current_) + R"(,"keys":[)";
  for (bool first = true; const auto& [version, key] : keys_) {
    std::string encoded = base64url_encode(key.view());
    text += std::string(first ? "" : ",") + R"({"version":)" + std::to_string(version) + R"(,"key":")";
    text += encoded;
    text += "\"}";
    wipe(encoded);
    first = false;
  }
  text += "]}\n";
  return SecretString(text);
}

}  // namespace bulkhead::kms
