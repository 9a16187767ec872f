// Keyring: the local driver's key-encryption keys, all versions of one KEK.
//
// At rest it is one JSON document, in a file (0600, owned by the server's user) or in the environment:
//   {"v":1,"id":"local-3f9a1c20","current":2,"keys":[{"version":1,"key":"<32 bytes, base64url>"},{"version":2,…}]}
// It is the one thing that opens everything encrypted: back it up, apart from the database. A value; move-only, wiped
// when it goes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/random.h"
#include "base/secret_string.h"

namespace bulkhead::kms {

class Keyring {
 public:
  // One fresh key, version 1.
  static Keyring generate(Random& random);
  // kKeyUnavailable with what is wrong. `place` names the document in messages.
  static Result<Keyring> parse(std::string_view document, const std::string& place);
  // kNotFound when there is no file; kKeyUnavailable when it is malformed or others may read it. Blocks.
  static Result<Keyring> load(const std::string& path);
  // Makes the file with a fresh key unless another process was faster; then loads it. Blocks.
  static Result<Keyring> create(const std::string& path, Random& random);
  // Replaces the file in one step. Blocks.
  Status save(const std::string& path) const;

  const std::string& id() const { return id_; }
  std::uint32_t current() const { return current_; }
  std::string kid(std::uint32_t version) const { return id_ + ":" + std::to_string(version); }
  std::string current_kid() const { return kid(current_); }
  // The key that `kid` names; null when it is another KEK's or the version is not here.
  const SecretString* find(std::string_view kid) const;

  // Rotation, step by step: a new version becomes current (old ones still open); one that nothing uses is dropped.
  void add_version(Random& random);
  // kConflict: it is the current one; kNotFound.
  Status drop_version(std::uint32_t version);

 private:
  SecretString document() const;
  std::string id_;
  std::uint32_t current_ = 0;
  std::map<std::uint32_t, SecretString> keys_;
};

}  // namespace bulkhead::kms
