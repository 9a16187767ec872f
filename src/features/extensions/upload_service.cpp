#include "features/extensions/upload_service.h"

namespace bulkhead::extensions {
namespace {

constexpr Micros kKeep = std::chrono::hours(24);
constexpr Bytes kMaxArchive = 200_MiB;
constexpr std::size_t kBatch = 100;
constexpr std::string_view kPrefix = "staging/";

struct StagedRow {
  ContentHash content_hash;
  Bytes size;
};

std::unexpected<Error> not_found() { return fail(ErrorCode::kStagingNotFound); }

// Keys are "staging/<uuid>": anything else is none of ours.
std::optional<Uuid> id_of(std::string_view key) {
  if (!key.starts_with(kPrefix)) return std::nullopt;
  return Uuid::parse(key.substr(kPrefix.size()));
}
std::string key_of(const Uuid& id) { return std::string(kPrefix) + id.to_string(); }

Status check_declared(const UploadService::Declared& declared, const ContentHash& hash, Bytes size) {
  if (declared.size && *declared.size != size) {
    return fail(ErrorCode::kHashMismatch, "The upload has " + std::to_string(size.value) + " bytes, not the declared " +
                                              std::to_string(declared.size->value) + ".");
  }
  if (declared.content_hash && *declared.content_hash != hash) {
    return fail(ErrorCode::kHashMismatch, "The upload has the hash " + hash.to_string() + ", not the declared one.");
  }
  return {};
}

}  // namespace

UploadService::UploadService(sql::Database& database, blob::Store& blobs, const StagingFolder& staging,
                             const Clock& clock, Random& random)
    : database_(database), blobs_(blobs), staging_(staging), clock_(clock), random_(random) {}

Task<Result<std::string>> UploadService::stage(access::Actor actor, TenantScope scope, ReceivedUpload upload,
                                               Declared declared) {
  BH_CO_TRY_VOID(check_declared(declared, upload.content_hash, upload.size));
  const Uuid id = Uuid::v4(random_);
  const UtcMicros now = clock_.now();
  // The row comes first: it is what leads the cleaning to the blob after a crash.
  BH_CO_TRY_VOID(co_await database_.write(scope, [&, creator = actor.credential_id](sql::TenantTx& tx) -> Status {
    BH_TRY_VOID(
        tx.execute("INSERT INTO staged_upload (tenant_id, id, content_hash, size, created_by, created_at) "
                   "VALUES ($1, $2, $3, $4, $5, $6)",
                   {id.to_string(), upload.content_hash, upload.size.value, creator, now}));
    return {};
  }));
  BH_CO_TRY_VOID(co_await blobs_.put_file(key_of(id), upload.file.path()));
  co_return key_of(id);
}

Task<Result<ReceivedUpload>> UploadService::take(TenantScope scope, std::string key, Declared declared) {
  const auto id = id_of(key);
  if (!id) co_return not_found();
  BH_CO_TRY(
      const auto row,
      co_await database_.read(scope, [id = id->to_string()](sql::TenantTx& tx) -> Result<std::optional<StagedRow>> {
        BH_TRY(const auto rows,
               tx.query("SELECT content_hash, size FROM staged_upload WHERE tenant_id = $1 AND id = $2", {id}));
        if (rows.empty()) return std::nullopt;
        return StagedRow{rows[0].hash(0), Bytes{static_cast<std::uint64_t>(rows[0].integer(1))}};
      }));
  if (!row) co_return not_found();
  BH_CO_TRY_VOID(check_declared(declared, row->content_hash, row->size));
  StagedFile file = staging_.new_file();
  auto copied = co_await blobs_.get_to_file(key_of(*id), file.path(), kMaxArchive);
  if (!copied && copied.error().code == ErrorCode::kNotFound) co_return not_found();
  if (!copied) co_return fail(std::move(copied.error()));
  co_return ReceivedUpload{std::move(file), row->content_hash, row->size};
}

Task<Status> UploadService::discard(TenantScope scope, std::string key) {
  const auto id = id_of(key);
  if (!id) co_return not_found();
  BH_CO_TRY(const std::int64_t removed, co_await database_.write(scope, [id = id->to_string()](sql::TenantTx& tx) {
    return tx.execute("DELETE FROM staged_upload WHERE tenant_id = $1 AND id = $2", {id});
  }));
  if (removed == 0) co_return not_found();
  co_return co_await blobs_.remove(key_of(*id));
}

Task<Status> UploadService::remove_expired() {
  const UtcMicros before = clock_.now() - kKeep;
  BH_CO_TRY(const auto expired,
            co_await database_.system_read([before](sql::SystemTx& tx) -> Result<std::vector<std::string>> {
              BH_TRY(const auto rows, tx.query("SELECT id FROM staged_upload WHERE created_at < $1 LIMIT $2",
                                               {before, static_cast<std::int64_t>(kBatch)}));
              std::vector<std::string> ids;
              for (const sql::Row& row : rows) ids.push_back(row.text(0));
              return ids;
            }));
  for (const std::string& id : expired) {
    // The blob goes first, so that a crash leaves the row to try again by.
    BH_CO_TRY_VOID(co_await blobs_.remove(std::string(kPrefix) + id));
    BH_CO_TRY_VOID(co_await database_.system_write([&id](sql::SystemTx& tx) -> Status {
      BH_TRY_VOID(tx.execute("DELETE FROM staged_upload WHERE id = $1", {id}));
      return {};
    }));
  }
  co_return Status();
}

}  // namespace bulkhead::extensions
