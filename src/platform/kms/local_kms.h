// LocalKms: the Kms driver whose key-encryption keys are a keyring of ours. A wrapped data key is
// iv(12) ‖ AES-256-GCM ciphertext(32) ‖ tag(16), authenticated with the kid and the binding. Works in memory: answers
// at once. The keyring stands still while it serves; a rotated one is loaded at the next start.
#pragma once

#include "base/random.h"
#include "platform/kms/keyring.h"
#include "platform/kms/kms.h"

namespace bulkhead::kms {

class LocalKms final : public Kms {
 public:
  // `random` is thread-safe and outlives this.
  LocalKms(Keyring keyring, Random& random) : keyring_(std::move(keyring)), random_(random) {}

  std::string current_kid() const override { return keyring_.current_kid(); }
  Task<Result<WrappedKey>> wrap(SecretString data_key, std::string binding) override;
  Task<Result<SecretString>> unwrap(WrappedKey wrapped, std::string binding) override;

 private:
  const Keyring keyring_;
  Random& random_;
};

}  // namespace bulkhead::kms
