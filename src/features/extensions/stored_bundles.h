// StoredBundles: opens a published bundle and proves it again before anybody uses it: SHA-256 of the stored bytes and
// the signature against the present trust entries and revocations (contracts/extensions.md §1: verified at publish, at
// install **and at load**). Blob layout: sha256/<hex>/bundle.tar.zst, sha256/<hex>/SIGNATURE (detached ones only).
// Used on any core; reading and hashing run on the pool.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "features/bundles/signing.h"
#include "features/extensions/staging_folder.h"
#include "features/extensions/trust_service.h"
#include "platform/blob/store.h"

namespace bulkhead::extensions {

std::string bundle_key(const ContentHash& hash);
std::string signature_key(const ContentHash& hash);

struct VerifiedBundle {
  bundles::Bundle bundle;
  bundles::Signer signer;
};

class StoredBundles {
 public:
  // All outlive this.
  StoredBundles(sql::Database& database, blob::Store& blobs, TrustService& trust, const StagingFolder& staging,
                ThreadPool& pool);

  // kBundleFetchFailed (not there, or the store is unreachable), kArchiveHashMismatch (the stored bytes are others),
  // kRunnerSignatureInvalid (no longer trusted, or revoked), kModuleInvalid.
  Task<Result<VerifiedBundle>> open(ContentHash content_hash);
  // Puts a verified bundle where `open` finds it. The local file is moved or copied.
  Task<Status> store(ContentHash content_hash, std::string path, std::optional<std::string> detached_signature);

 private:
  Task<Result<bundles::Bundle>> fetch(ContentHash content_hash);
  Task<Result<std::optional<std::string>>> fetch_signature(ContentHash content_hash);
  sql::Database& database_;
  blob::Store& blobs_;
  TrustService& trust_;
  const StagingFolder& staging_;
  ThreadPool& pool_;
};

}  // namespace bulkhead::extensions
