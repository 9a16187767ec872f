#include "features/runners/stored_bundle_source.h"

namespace bulkhead::runners {

Task<Result<VerifiedGuest>> StoredBundleSource::open(ContentHash content_hash) {
  BH_CO_TRY(extensions::VerifiedBundle verified, co_await bundles_.open(content_hash));
  const bundles::Entry* entry = verified.bundle.archive.find(verified.bundle.manifest.entry);
  if (entry == nullptr) co_return fail(ErrorCode::kModuleInvalid, "", "the bundle lacks its entry module");
  co_return VerifiedGuest{std::move(verified.bundle.module), ContentHash::from_bytes(entry->sha256)};
}

}  // namespace bulkhead::runners
