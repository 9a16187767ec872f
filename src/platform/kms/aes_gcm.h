// AES-256-GCM (NIST SP 800-38D) by OpenSSL: the one cipher of this room. A key must not see the same IV twice; callers
// draw 96 random bits for each message and stay below 2³² messages per key (§8.3). Pure functions; thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret_string.h"

namespace bulkhead::kms {

inline constexpr std::size_t kKeySize = 32;
inline constexpr std::size_t kIvSize = 12;
inline constexpr std::size_t kTagSize = 16;
using Iv = std::array<std::uint8_t, kIvSize>;
using Tag = std::array<std::uint8_t, kTagSize>;

struct Sealed {
  std::string ciphertext;  // as long as the plaintext
  Tag tag{};
};

// `key` has kKeySize bytes.
Sealed aes_gcm_seal(std::string_view key, const Iv& iv, std::string_view associated, std::string_view plaintext);
// nullopt: the tag does not fit these bytes.
std::optional<SecretString> aes_gcm_open(std::string_view key, const Iv& iv, std::string_view associated,
                                         std::string_view ciphertext, const Tag& tag);

}  // namespace bulkhead::kms
