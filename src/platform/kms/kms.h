// Kms: the port to whoever holds key-encryption keys (KEKs). It wraps and unwraps data keys; values never go there.
//
// A key version is named by its kid, "<kek id>:<version>". New data keys are wrapped under the current version; older
// versions unwrap until they are retired. `binding` is authenticated with the data key: an unwrap that names another
// one fails. Drivers: local (local_kms.h). Thread-safe; every call has a deadline of the driver's.
#pragma once

#include <string>

#include "base/error.h"
#include "base/secret_string.h"
#include "platform/async/task.h"

namespace bulkhead::kms {

struct WrappedKey {
  std::string kid;
  std::string bytes;
};

class Kms {
 public:
  virtual ~Kms() = default;
  // The version that `wrap` uses, as far as this node knows.
  virtual std::string current_kid() const = 0;
  // kKeyUnavailable: can't be reached, or may not be used.
  virtual Task<Result<WrappedKey>> wrap(SecretString data_key, std::string binding) = 0;
  // kKeyUnavailable: as above, or the version is not known here; kEnvelopeInvalid: these bytes were not wrapped by that
  // version with that binding.
  virtual Task<Result<SecretString>> unwrap(WrappedKey wrapped, std::string binding) = 0;
};

}  // namespace bulkhead::kms
