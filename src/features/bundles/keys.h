// Signing keys of publishers: Ed25519 and ECDSA P-256, by OpenSSL. Private keys are PKCS#8 PEM files with mode 0600,
// public keys SPKI PEM. A key's id is the SHA-256 (hex) of its SPKI DER. Immutable; safe to share between threads.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

struct evp_pkey_st;

namespace bulkhead::bundles {

enum class KeyKind : std::uint8_t { kEd25519, kEcdsaP256 };
std::string_view to_string(KeyKind kind);  // "ed25519", "ecdsa-p256"

class PublicKey {
 public:
  // kBadRequest: not a PEM public key, or of another kind.
  static Result<PublicKey> from_pem(std::string_view pem);
  // Shares the key; kBadRequest when it is of another kind.
  static Result<PublicKey> from_handle(std::shared_ptr<evp_pkey_st> key);

  KeyKind kind() const { return kind_; }
  const std::string& id() const { return id_; }
  std::string to_pem() const;
  bool verifies(std::string_view message, std::string_view signature) const;

 private:
  PublicKey() = default;
  std::shared_ptr<evp_pkey_st> key_;
  KeyKind kind_ = KeyKind::kEd25519;
  std::string id_;
};

class PrivateKey {
 public:
  static PrivateKey generate(KeyKind kind);
  // kBadRequest: not an unencrypted PKCS#8 PEM key of a kind that signs bundles.
  static Result<PrivateKey> from_pem(std::string_view pem);

  const PublicKey& public_key() const { return public_key_; }
  std::string to_pem() const;
  std::string sign(std::string_view message) const;

 private:
  PrivateKey(std::shared_ptr<evp_pkey_st> key, PublicKey public_key)
      : key_(std::move(key)), public_key_(std::move(public_key)) {}
  std::shared_ptr<evp_pkey_st> key_;
  PublicKey public_key_;
};

// Makes a new file with mode 0600; kAlreadyExists when there is one: a key is never overwritten.
Status write_private_key(const std::string& path, const PrivateKey& key);
// kForbidden when the group or others may read the file.
Result<PrivateKey> read_private_key(const std::string& path);

}  // namespace bulkhead::bundles
