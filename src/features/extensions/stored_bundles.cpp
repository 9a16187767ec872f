#include "features/extensions/stored_bundles.h"

#include "features/extensions/registry_store.h"

namespace bulkhead::extensions {
namespace {

constexpr Bytes kInMemory = 16_MiB;  // larger ones go through a file
constexpr Bytes kMaxArchive = 200_MiB;
constexpr Bytes kMaxSignature = 4_MiB;

std::unexpected<Error> fetch_failed(Error cause) {
  return fail_because(ErrorCode::kBundleFetchFailed,
                      cause.code == ErrorCode::kNotFound ? "The bundle is not in the blob store." : "",
                      std::move(cause));
}

// The bundle was readable when it was published: if it is not now, the bytes are not the same.
Result<bundles::Bundle> judge(Result<bundles::Bundle> bundle, const ContentHash& expected) {
  if (!bundle) {
    if (bundle.error().code == ErrorCode::kInternal || bundle.error().code == ErrorCode::kOverloaded) return bundle;
    return fail_because(ErrorCode::kArchiveHashMismatch, {}, std::move(bundle.error()));
  }
  if (bundle->archive.content_hash != expected) return fail(ErrorCode::kArchiveHashMismatch);
  return bundle;
}

}  // namespace

std::string bundle_key(const ContentHash& hash) { return "sha256/" + hash.hex() + "/bundle.tar.zst"; }
std::string signature_key(const ContentHash& hash) { return "sha256/" + hash.hex() + "/SIGNATURE"; }

StoredBundles::StoredBundles(sql::Database& database, blob::Store& blobs, TrustService& trust,
                             const StagingFolder& staging, ThreadPool& pool)
    : database_(database), blobs_(blobs), trust_(trust), staging_(staging), pool_(pool) {}

Task<Result<bundles::Bundle>> StoredBundles::fetch(ContentHash content_hash) {
  auto bytes = co_await blobs_.get(bundle_key(content_hash), kInMemory);
  if (bytes) {
    co_return judge(co_await pool_.run([&bytes] { return bundles::read_bundle(*bytes); }), content_hash);
  }
  if (bytes.error().code != ErrorCode::kPayloadTooLarge) co_return fetch_failed(std::move(bytes.error()));
  const StagedFile file = staging_.new_file();
  auto copied = co_await blobs_.get_to_file(bundle_key(content_hash), file.path(), kMaxArchive);
  if (!copied) co_return fetch_failed(std::move(copied.error()));
  co_return judge(co_await pool_.run([&file] { return bundles::read_bundle_file(file.path()); }), content_hash);
}

Task<Result<std::optional<std::string>>> StoredBundles::fetch_signature(ContentHash content_hash) {
  auto text = co_await blobs_.get(signature_key(content_hash), kMaxSignature);
  if (text) co_return std::move(*text);
  if (text.error().code == ErrorCode::kNotFound) co_return std::nullopt;
  co_return fetch_failed(std::move(text.error()));
}

Task<Result<VerifiedBundle>> StoredBundles::open(ContentHash content_hash) {
  BH_CO_TRY(bundles::Bundle bundle, co_await fetch(content_hash));
  BH_CO_TRY(const auto detached, co_await fetch_signature(content_hash));
  BH_CO_TRY(const auto extension, co_await database_.system_read([name = bundle.manifest.name](sql::SystemTx& tx) {
    return find_extension_by_name(tx, name);
  }));
  BH_CO_TRY(const auto trust, co_await trust_.bundle_for(extension ? std::optional(extension->owner) : std::nullopt));
  // No time of publishing: expiry was judged then, revocation is judged now.
  auto signer = co_await pool_.run([&] { return bundles::verify_bundle(bundle, detached, trust, std::nullopt); });
  if (!signer) co_return fail_because(ErrorCode::kRunnerSignatureInvalid, signer.error().message, signer.error());
  co_return VerifiedBundle{std::move(bundle), std::move(*signer)};
}

Task<Status> StoredBundles::store(ContentHash content_hash, std::string path,
                                  std::optional<std::string> detached_signature) {
  if (detached_signature) {
    auto put = co_await blobs_.put(signature_key(content_hash), *detached_signature);
    if (!put && put.error().code == ErrorCode::kAlreadyExists) {
      // Left by an earlier try that did not become a version; blobs don't change, so the old one has to go first.
      BH_CO_TRY_VOID(co_await blobs_.remove(signature_key(content_hash)));
      put = co_await blobs_.put(signature_key(content_hash), std::move(*detached_signature));
    }
    if (!put) co_return put;
  }
  co_return co_await blobs_.put_file(bundle_key(content_hash), std::move(path));
}

}  // namespace bulkhead::extensions
