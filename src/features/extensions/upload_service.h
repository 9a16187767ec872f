// Staged uploads: a bundle that was uploaded and not yet finalized (contracts/extensions.md §2, upload-proxy / finalize
// / abort). The bytes are in the blob store, so that any node can finalize; kept for a day. Belongs to one
// organization.
#pragma once

#include <optional>
#include <string>

#include "base/random.h"
#include "features/access/audit.h"
#include "features/extensions/staging_folder.h"
#include "platform/blob/store.h"
#include "platform/sql/database.h"

namespace bulkhead::extensions {

class UploadService {
 public:
  // All outlive the service; `random` is thread-safe.
  UploadService(sql::Database& database, blob::Store& blobs, const StagingFolder& staging, const Clock& clock,
                Random& random);

  // The key to finalize with. kHashMismatch when the bytes are not what was declared.
  struct Declared {
    std::optional<ContentHash> content_hash;
    std::optional<Bytes> size;
  };
  Task<Result<std::string>> stage(access::Actor actor, TenantScope scope, ReceivedUpload upload, Declared declared);
  // A local copy. kStagingNotFound, kHashMismatch.
  Task<Result<ReceivedUpload>> take(TenantScope scope, std::string key, Declared declared);
  // kStagingNotFound.
  Task<Status> discard(TenantScope scope, std::string key);
  // Removes what is older than a day.
  Task<Status> remove_expired();

 private:
  sql::Database& database_;
  blob::Store& blobs_;
  const StagingFolder& staging_;
  const Clock& clock_;
  Random& random_;
};

}  // namespace bulkhead::extensions
