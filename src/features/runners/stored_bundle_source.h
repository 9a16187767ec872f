// BundleSource on the extensions room's stored bundles: hash and signature are proven at every load.
#pragma once

#include "features/extensions/stored_bundles.h"
#include "features/runners/bundle_source.h"

namespace bulkhead::runners {

class StoredBundleSource final : public BundleSource {
 public:
  // `bundles` outlives this.
  explicit StoredBundleSource(extensions::StoredBundles& bundles) : bundles_(bundles) {}
  Task<Result<VerifiedGuest>> open(ContentHash content_hash) override;

 private:
  extensions::StoredBundles& bundles_;
};

}  // namespace bulkhead::runners
