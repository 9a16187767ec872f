// BundleSource: where verified bundles come from. `open` fetches the stored bundle, checks its SHA-256 and its
// signature against the present trust entries and revocations (contracts/extensions.md §1: verified at load), and gives
// the guest. Implemented on the extensions room's tables for `serve`; tests implement nothing: they publish real
// bundles.
#pragma once

#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "platform/async/task.h"

namespace bulkhead::runners {

struct VerifiedGuest {
  std::string wasm;
  ContentHash wasm_hash;
};

class BundleSource {
 public:
  virtual ~BundleSource() = default;
  // kBundleFetchFailed, kArchiveHashMismatch, kRunnerSignatureInvalid, kModuleInvalid.
  virtual Task<Result<VerifiedGuest>> open(ContentHash content_hash) = 0;
};

}  // namespace bulkhead::runners
