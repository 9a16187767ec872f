#include "base/ids.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/sha256.h"

namespace bulkhead {

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
  std::string digits;
  digits.reserve(32);
  for (const char c : text) {
    if (c != '-') digits.push_back(c);
  }
  if (digits.size() != 32) return std::nullopt;
  const auto decoded = hex_decode(digits);
  if (!decoded) return std::nullopt;
  Uuid id;
  std::copy(decoded->begin(), decoded->end(), id.bytes_.begin());
  return id;
}

std::string Uuid::to_string() const {
  const std::string hex = hex_encode({reinterpret_cast<const char*>(bytes_.data()), bytes_.size()});
  std::string text;
  text.reserve(36);
  text.append(hex, 0, 8).append(1, '-').append(hex, 8, 4).append(1, '-').append(hex, 12, 4).append(1, '-');
  text.append(hex, 16, 4).append(1, '-').append(hex, 20, 12);
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
  const auto decoded = hex_decode(text);
  if (!decoded) return std::nullopt;
  ContentHash hash;
  std::copy(decoded->begin(), decoded->end(), hash.bytes_.begin());
  return hash;
}

std::string ContentHash::to_string() const { return "sha256:" + hex(); }

std::string ContentHash::hex() const {
  return hex_encode({reinterpret_cast<const char*>(bytes_.data()), bytes_.size()});
}

}  // namespace bulkhead
