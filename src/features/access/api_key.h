// The text form of API keys (contracts/access.md, resolver chain): "bh_key_" + 32 random bytes as 43 base62 digits +
// the CRC-32 of all that precedes as 6 base62 digits. Digits are 0-9 A-Z a-z, most significant first.
//
// The checksum is no defence: it lets a mistyped key, or one found by a secret scanner, be told apart without a
// look-up. At rest only the SHA-256 of the whole text is kept; 256 random bits need no slow hash. Pure functions, any
// thread.
#pragma once

#include <string>
#include <string_view>

#include "base/random.h"
#include "base/sha256.h"

namespace bulkhead::access {

inline constexpr std::string_view kApiKeyPrefix = "bh_key_";
inline constexpr std::size_t kApiKeySize = 7 + 43 + 6;

// A new key. The caller shows it once, stores `api_key_hash` of it, and wipes it.
std::string generate_api_key(Random& random);

// True when `text` has the exact form, a value below 2^256 and the right checksum.
bool is_api_key(std::string_view text);

// What is stored and looked up.
inline Sha256Digest api_key_hash(std::string_view text) { return sha256(text); }

}  // namespace bulkhead::access
