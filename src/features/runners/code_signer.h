// CodeSigner: signs machine code that this installation compiled itself, so that a cache entry (local disk or S3) can
// be mapped only if we made it. The private key never leaves `serve`; runners get the public key. Immutable after
// loading; thread-safe.
#pragma once

#include <array>
#include <string>

#include "base/error.h"
#include "protocol/module_signature.h"

namespace bulkhead::runners {

class CodeSigner {
 public:
  // Reads the 32-byte Ed25519 seed in `path` (mode 0600, hex); makes a new one when there is none.
  // kInternal: unreadable, malformed, or readable by others.
  static Result<CodeSigner> load_or_create(const std::string& path);
  ~CodeSigner();
  CodeSigner(CodeSigner&&) noexcept;
  CodeSigner& operator=(CodeSigner&&) = delete;

  // Sets offer.signature.
  void sign(protocol::ModuleOffer& offer) const;
  const protocol::CodePublicKey& public_key() const { return public_key_; }

 private:
  CodeSigner() = default;
  protocol::CodePublicKey public_key_{};
  std::array<std::uint8_t, 64> secret_key_{};
};

}  // namespace bulkhead::runners
