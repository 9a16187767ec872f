// Encryption envelope v1 (contracts/access.md): how one encrypted value looks at rest.
//
//   {"v":1,"alg":"A256GCM","kid":"<kek id>:<version>","dek":"…","iv":"…","ct":"…","tag":"…"}
//
// The value is encrypted by a data key ("dek", itself wrapped by the key-encryption key that `kid` names). Binary
// members are base64url without padding. The associated data binds the ciphertext to the place it was written for, so
// that it does not open in another row, column or tenant.
//
// `parse_envelope` reads bytes that may be hostile: each member exactly once, no other, fixed lengths for iv and tag,
// bounds for the rest; members in any order, JSON white space between them, no escapes (none of the values needs one).
// Pure functions and values; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "platform/kms/aes_gcm.h"

namespace bulkhead::kms {

inline constexpr std::string_view kAlgorithm = "A256GCM";
inline constexpr std::size_t kMaxPlaintext = std::size_t{256} * 1024;
inline constexpr std::size_t kMaxKid = 128;
inline constexpr std::size_t kMaxWrappedKey = 1024;
inline constexpr std::size_t kMaxEnvelopeText = kMaxPlaintext / 3 * 4 + 4096;

struct Envelope {
  std::string kid;          // "<kek id>:<version>"
  std::string wrapped_key;  // the data key as the KMS gave it
  Iv iv{};
  std::string ciphertext;
  Tag tag{};
  bool operator==(const Envelope&) const = default;
};

// Where an encrypted value lives. The row's id is the value of its primary key within the tenant, so that a row whose
// columns were exchanged does not open either.
struct Place {
  std::string table;  // logical names: they stay when a table or column is renamed
  std::string column;
  std::string row;
  TenantId tenant;
};

// kEnvelopeInvalid.
Result<Envelope> parse_envelope(std::string_view text);
std::string to_text(const Envelope& envelope);
// Deterministic CBOR (RFC 8949 §4.2.1) of [v, alg, table, column, row id, tenant id].
std::string associated_data(const Place& place);

// "<kek id>:<version>" with an id of 1–100 letters, digits, '.', '_', '-' or '/', and a version from 1.
bool is_valid_kid(std::string_view kid);

}  // namespace bulkhead::kms
