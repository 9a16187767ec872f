#include "features/extensions/publisher.h"

#include "features/extensions/registry_store.h"
#include "platform/bus/outbox.h"

namespace bulkhead::extensions {
namespace {

// Guests are judged by their author at publish: a missing export is then no bad gateway but a module to correct.
Error for_author(Error error) {
  if (error.code == ErrorCode::kAbiMissingExport || error.code == ErrorCode::kModuleInvalid) {
    error.code = ErrorCode::kModuleRejected;
  }
  return error;
}

Error version_exists(const Extension& extension, const std::string& version) {
  Error error;
  error.code = ErrorCode::kVersionExists;
  error.message = extension.name + " " + version + " is published already.";
  return error;
}

Status check_expected_manifest(const PublishRequest& request, const bundles::Bundle& bundle) {
  if (!request.expected_manifest) return {};
  BH_TRY(const json::value inside, parse_json(bundle.manifest_text));
  if (canonical_json(inside) == canonical_json(*request.expected_manifest)) return {};
  return fail(ErrorCode::kManifestMismatch);
}

Version version_of(const PublishRequest& request, const bundles::Bundle& bundle, const bundles::Signer& signer,
                   UtcMicros now, Random& random) {
  Version version;
  version.id = VersionId::v7(now, random);
  version.version = bundle.manifest.version.text();
  version.content_hash = bundle.archive.content_hash;
  version.manifest_json = bundle.manifest_text;
  version.signer_key_id = signer.key_id;
  version.signer_trust_id = signer.trust_id;
  version.signer_subject = signer.certificate_subject;
  version.published_by = request.actor.credential_id;
  version.published_at = now;
  return version;
}

BundleRecord record_of(const PublishRequest& request, const bundles::Bundle& bundle) {
  return {.content_hash = bundle.archive.content_hash,
          .size = bundle.archive.archive_size,
          .unpacked_size = bundle.archive.unpacked_size,
          .entries = static_cast<std::int64_t>(bundle.archive.entries.size()),
          .signature_form = request.detached_signature ? "detached"
                            : bundle.signature         ? "embedded"
                                                       : "none"};
}

}  // namespace

Publisher::Publisher(Dependencies dependencies, metrics::Registry& registry)
    : dependencies_(std::move(dependencies)),
      published_(registry.counter("extension_versions_published_total", "Versions that became visible.")),
      refused_(registry.counter("extension_publish_refused_total", "Uploads that did not become a version.")) {}

// The extension as it is, or as the first publish will make it (its id is new then).
Task<Result<Extension>> Publisher::owned_extension(const PublishRequest& request, const bundles::Manifest& manifest) {
  const TenantId tenant = request.scope.tenant();
  const auto id = ExtensionId::parse(request.extension);
  if (!id && !request.extension.empty() && request.extension != manifest.name) {
    co_return fail(ErrorCode::kUnprocessable,
                   "The bundle is of " + manifest.name + ", not of " + request.extension + ".");
  }
  BH_CO_TRY(auto found, co_await dependencies_.database.system_read(
                            [name = manifest.name](sql::SystemTx& tx) { return find_extension_by_name(tx, name); }));
  if (found && found->owner != tenant) co_return fail(ErrorCode::kNameClaimed);
  if (id && found && found->id != *id) {
    co_return fail(ErrorCode::kUnprocessable, "The bundle is of " + manifest.name + ", which has another id.");
  }
  if (found) co_return std::move(*found);
  if (id) co_return fail(ErrorCode::kNotFound, "There is no such extension.");
  const UtcMicros now = dependencies_.clock.now();
  co_return Extension{.id = ExtensionId::v4(dependencies_.random),
                      .owner = tenant,
                      .name = manifest.name,
                      .publisher = manifest.publisher,
                      .visibility = Visibility::kPublic,
                      .created_by = request.actor.credential_id,
                      .created_at = now,
                      .updated_at = now,
                      .latest_version = {}};
}

Task<Result<Published>> Publisher::publish(PublishRequest request) {
  auto outcome = co_await try_publish(std::move(request));
  (outcome ? published_ : refused_).add();
  if (outcome) dependencies_.after_commit();
  co_return outcome;
}

Task<Result<Published>> Publisher::try_publish(PublishRequest request) {
  const std::string path = request.upload.file.path();
  BH_CO_TRY(bundles::Bundle bundle,
            co_await dependencies_.pool.run([&path] { return bundles::read_bundle_file(path); }));
  if (bundle.archive.content_hash != request.upload.content_hash) {
    co_return fail(ErrorCode::kHashMismatch, "The bundle changed between its upload and its reading.");
  }
  BH_CO_TRY_VOID(check_expected_manifest(request, bundle));
  Published published;
  BH_CO_TRY(published.extension, co_await owned_extension(request, bundle.manifest));
  BH_CO_TRY(const auto present, co_await dependencies_.database.system_read(
                                    [id = published.extension.id, version = bundle.manifest.version.text()](
                                        sql::SystemTx& tx) { return find_version(tx, id, version); }));
  if (present) co_return fail(version_exists(published.extension, present->version));

  const UtcMicros now = dependencies_.clock.now();
  BH_CO_TRY(const auto trust, co_await dependencies_.trust.bundle_for(request.scope.tenant()));
  BH_CO_TRY(const bundles::Signer signer, co_await dependencies_.pool.run([&] {
    return bundles::verify_bundle(bundle, request.detached_signature, trust, now);
  }));
  auto compiled = co_await dependencies_.compiler.compile(bundle.archive.content_hash, std::move(bundle.module));
  if (!compiled) co_return fail(for_author(std::move(compiled.error())));
  BH_CO_TRY_VOID(co_await dependencies_.bundles.store(bundle.archive.content_hash, path, request.detached_signature));

  published.version = version_of(request, bundle, signer, now, dependencies_.random);
  published.bundle = record_of(request, bundle);
  published.notices = std::move(bundle.notices);
  co_return co_await make_visible(request, std::move(published));
}

Task<Result<Published>> Publisher::make_visible(const PublishRequest& request, Published published) {
  const bus::Event event = bus::make_event(dependencies_.clock, dependencies_.random, "extension.published",
                                           {{"extension_id", published.extension.id.to_string()},
                                            {"version_id", published.version.id.to_string()},
                                            {"content_hash", published.version.content_hash.to_string()}});
  auto written = co_await dependencies_.database.write(
      request.scope, [this, &request, published, event](sql::TenantTx& tx) mutable -> Result<Published> {
        BH_TRY(const auto own, own_extension(tx, published.extension.id));
        if (!own) BH_TRY_VOID(insert_extension(tx, published.extension));
        published.version.extension_id = published.extension.id;
        BH_TRY_VOID(insert_bundle(tx, published.bundle, published.version.published_at));
        BH_TRY_VOID(insert_version(tx, published.version));
        const json::value after = {{"name", published.extension.name},
                                   {"version", published.version.version},
                                   {"content_hash", published.version.content_hash.to_string()},
                                   {"signer_key_id", published.version.signer_key_id}};
        BH_TRY_VOID(
            access::append_audit(tx,
                                 access::audit_entry(request.actor, "extension.publish",
                                                     "extension:" + published.extension.id.to_string(), nullptr, after),
                                 published.version.published_at, dependencies_.random));
        BH_TRY_VOID(bus::append(tx, event));
        return published;
      });
  if (!written) {
    if (written.error().code != ErrorCode::kAlreadyExists) co_return fail(std::move(written.error()));
    // Somebody was faster: with this version, or with the name.
    BH_CO_TRY(const auto winner,
              co_await dependencies_.database.system_read(
                  [name = published.extension.name](sql::SystemTx& tx) { return find_extension_by_name(tx, name); }));
    if (winner && winner->owner != request.scope.tenant()) co_return fail(ErrorCode::kNameClaimed);
    if (winner && winner->id != published.extension.id) {
      published.extension = *winner;  // our own first publish of another version: take its row
      co_return co_await make_visible(request, std::move(published));
    }
    co_return fail(version_exists(published.extension, published.version.version));
  }
  co_return written;
}

}  // namespace bulkhead::extensions
