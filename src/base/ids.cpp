#include "base/ids.h"

#include "base/bytes.h"
#include "base/sha256.h"

namespace bulkhead {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

// Ids are parsed and written several times in every call, so without a temporary string.
constexpr std::array<std::int8_t, 256> make_hex_values() {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (int i = 0; i < 10; ++i) values[static_cast<std::size_t>('0' + i)] = static_cast<std::int8_t>(i);
  for (int i = 0; i < 6; ++i) {
    values[static_cast<std::size_t>('a' + i)] = static_cast<std::int8_t>(10 + i);
    values[static_cast<std::size_t>('A' + i)] = static_cast<std::int8_t>(10 + i);
  }
  return values;
}
constexpr auto kHexValues = make_hex_values();

// Negative when either is no hex digit.
int hex_byte(char high, char low) {
  const int value = kHexValues[static_cast<unsigned char>(high)];
  const int rest = kHexValues[static_cast<unsigned char>(low)];
  return value < 0 || rest < 0 ? -1 : value * 16 + rest;
}

}  // namespace

Uuid Uuid::v4(Random& random) {
  Uuid id;
  random.fill(id.bytes_);
  id.bytes_[6] = static_cast<std::uint8_t>((id.bytes_[6] & 0x0f) | 0x40);
  id.bytes_[8] = static_cast<std::uint8_t>((id.bytes_[8] & 0x3f) | 0x80);
  return id;
}

Uuid Uuid::v7(UtcMicros now, Random& random) {
  Uuid id;
  random.fill(id.bytes_);
  const auto millis = static_cast<std::uint64_t>(now.value / 1000);
  for (std::size_t i = 0; i < 6; ++i) id.bytes_[i] = static_cast<std::uint8_t>(millis >> (40 - 8 * i));
  id.bytes_[6] = static_cast<std::uint8_t>((id.bytes_[6] & 0x0f) | 0x70);
  id.bytes_[8] = static_cast<std::uint8_t>((id.bytes_[8] & 0x3f) | 0x80);
  return id;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-') {
    return std::nullopt;
  }
  Uuid id;
  std::size_t at = 0;
  for (std::uint8_t& byte : id.bytes_) {
    if (text[at] == '-') ++at;
    const int value = hex_byte(text[at], text[at + 1]);
    if (value < 0) return std::nullopt;
    byte = static_cast<std::uint8_t>(value);
    at += 2;
  }
  return id;
}

std::string Uuid::to_string() const {
  std::string text(36, '-');
  std::size_t at = 0;
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) ++at;
    text[at++] = kHexDigits[bytes_[i] >> 4];
    text[at++] = kHexDigits[bytes_[i] & 15];
  }
  return text;
}

ExecutionHandle ExecutionHandle::random(Random& random) {
  ExecutionHandle handle;
  random.fill(handle.bytes_);
  return handle;
}

ContentHash ContentHash::of(std::string_view bytes) { return from_bytes(sha256(bytes)); }

std::optional<ContentHash> ContentHash::parse(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  if (text.starts_with(kPrefix)) text.remove_prefix(kPrefix.size());
  if (text.size() != 64) return std::nullopt;
  ContentHash hash;
  for (std::size_t i = 0; i < hash.bytes_.size(); ++i) {
    const int value = hex_byte(text[2 * i], text[2 * i + 1]);
    if (value < 0) return std::nullopt;
    hash.bytes_[i] = static_cast<std::uint8_t>(value);
  }
  return hash;
}

std::string ContentHash::to_string() const { return "sha256:" + hex(); }

std::string ContentHash::hex() const {
  return hex_encode({reinterpret_cast<const char*>(bytes_.data()), bytes_.size()});
}

}  // namespace bulkhead
