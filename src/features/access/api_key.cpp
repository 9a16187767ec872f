#include "features/access/api_key.h"

#include <array>

#include "base/crc32.h"
#include "base/error.h"

namespace bulkhead::access {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::size_t kSecretDigits = 43;   // ⌈256 / log2 62⌉
constexpr std::size_t kChecksumDigits = 6;  // 62^6 > 2^32

constexpr std::array<std::int8_t, 256> reverse_digits() {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < kDigits.size(); ++i) {
    table[static_cast<unsigned char>(kDigits[i])] = static_cast<std::int8_t>(i);
  }
  return table;
}
constexpr auto kReverse = reverse_digits();

std::string checksum_digits(std::string_view text) {
  std::uint32_t rest = crc32(text);
  std::string digits(kChecksumDigits, '0');
  for (std::size_t i = kChecksumDigits; i-- > 0; rest /= 62) digits[i] = kDigits[rest % 62];
  return digits;
}

// Divides the big-endian number by 62 in place; returns the remainder.
std::uint32_t divide_by_62(std::array<std::uint8_t, 32>& number) {
  std::uint32_t remainder = 0;
  for (auto& byte : number) {
    const std::uint32_t value = (remainder << 8) | byte;
    byte = static_cast<std::uint8_t>(value / 62);
    remainder = value % 62;
  }
  return remainder;
}

// The largest 256-bit number in base 62: every secret is at most this, so that each has one spelling.
std::string largest_secret() {
  std::array<std::uint8_t, 32> number{};
  number.fill(0xff);
  std::string digits(kSecretDigits, '0');
  for (std::size_t i = kSecretDigits; i-- > 0;) digits[i] = kDigits[divide_by_62(number)];
  return digits;
}

}  // namespace

std::string generate_api_key(Random& random) {
  std::array<std::uint8_t, 32> secret{};
  random.fill(secret);
  std::string text(kApiKeyPrefix);
  text.resize(kApiKeyPrefix.size() + kSecretDigits);
  for (std::size_t i = text.size(); i-- > kApiKeyPrefix.size();) text[i] = kDigits[divide_by_62(secret)];
  text += checksum_digits(text);
  BH_ASSERT(text.size() == kApiKeySize);
  return text;
}

bool is_api_key(std::string_view text) {
  if (text.size() != kApiKeySize || !text.starts_with(kApiKeyPrefix)) return false;
  for (const char c : text.substr(kApiKeyPrefix.size())) {
    if (kReverse[static_cast<unsigned char>(c)] < 0) return false;
  }
  // The digits' order is their byte order, so the texts compare as the numbers do.
  static const std::string kLargest = largest_secret();
  if (text.substr(kApiKeyPrefix.size(), kSecretDigits) > kLargest) return false;
  std::uint64_t checksum = 0;
  for (const char c : text.substr(kApiKeyPrefix.size() + kSecretDigits)) {
    checksum = checksum * 62 + static_cast<std::uint64_t>(kReverse[static_cast<unsigned char>(c)]);
  }
  return checksum == crc32(text.substr(0, kApiKeyPrefix.size() + kSecretDigits));
}

}  // namespace bulkhead::access
