// Publisher: turns an uploaded bundle into an immutable version (contracts/extensions.md §1, §2).
//
// In this order, so that no half version can exist: read (all limits), manifest, ownership of the name, signature
// (certificates valid now), compile in the compiler process, blobs, then one transaction that makes it visible together
// with its audit row and event. Whatever fails before leaves at most a blob that nothing names.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "features/access/audit.h"
#include "features/bundles/signing.h"
#include "features/extensions/module_compiler.h"
#include "features/extensions/records.h"
#include "features/extensions/stored_bundles.h"
#include "platform/observe/metrics.h"

namespace bulkhead::extensions {

inline constexpr Bytes kMaxUpload = 200_MiB;

struct PublishRequest {
  access::Actor actor;
  TenantScope scope;
  std::string extension;  // registry id or name; empty: whichever the manifest names
  ReceivedUpload upload;
  std::optional<std::string> detached_signature;  // a DSSE envelope
  std::optional<json::value> expected_manifest;   // must be what is in the bundle
};

struct Published {
  Extension extension;
  Version version;
  BundleRecord bundle;
  std::vector<std::string> notices;
};

class Publisher {
 public:
  struct Dependencies {
    sql::Database& database;
    StoredBundles& bundles;
    TrustService& trust;
    ModuleCompiler& compiler;
    ThreadPool& pool;
    const Clock& clock;
    Random& random;  // thread-safe
    std::function<void()> after_commit;
  };
  Publisher(Dependencies dependencies, metrics::Registry& registry);

  // Bundle errors (kBundleInvalid, kBundleTooLarge, kManifestNotFound, kInvalidManifest, kManifestMismatch), kNotFound
  // (an id that does not exist), kUnprocessable (the bundle is of another extension), kNameClaimed, kVersionExists,
  // kSignatureRequired, kSignatureInvalid, kSignerUntrusted, kModuleRejected, store errors.
  Task<Result<Published>> publish(PublishRequest request);

 private:
  Task<Result<Published>> try_publish(PublishRequest request);
  Task<Result<Extension>> owned_extension(const PublishRequest& request, const bundles::Manifest& manifest);
  Task<Result<Published>> make_visible(const PublishRequest& request, Published published);
  Dependencies dependencies_;
  metrics::Counter& published_;
  metrics::Counter& refused_;
};

}  // namespace bulkhead::extensions
