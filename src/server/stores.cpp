#include "server/stores.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "base/ids.h"
#include "platform/blob/stores.h"
#include "platform/observe/log.h"
#include "platform/process/file.h"
#include "platform/sql/engines.h"

namespace bulkhead {
// Generated from the rooms' migrations/*.sql (cmake/EmbedMigrations.cmake).
std::vector<sql::Migration> access_migrations();
std::vector<sql::Migration> broker_migrations();
std::vector<sql::Migration> bus_migrations();
std::vector<sql::Migration> events_migrations();
std::vector<sql::Migration> executions_migrations();
std::vector<sql::Migration> extensions_migrations();
std::vector<sql::Migration> guard_migrations();
std::vector<sql::Migration> plans_migrations();
std::vector<sql::Migration> quarantine_migrations();
std::vector<sql::Migration> schedules_migrations();
std::vector<sql::Migration> secrets_migrations();
}  // namespace bulkhead

namespace bulkhead::server {
namespace {

// A request waits for it, and its client seldom waits longer than half a minute.
constexpr Millis kBlobDeadline{10'000};

}  // namespace

Result<DataFolder> open_data_folder(const std::string& path) {
  // Children and workers may have another working directory.
  const std::string absolute = std::filesystem::absolute(path).lexically_normal().string();
  DataFolder folder{absolute};
  for (const std::string& part : {folder.path, folder.keys(), folder.journal(), folder.blobs(), folder.staging()}) {
    BH_TRY_VOID(process::make_directory(part));
  }
  return folder;
}

Result<process::UniqueFd> lock_data_folder(const DataFolder& folder) {
  const std::string path = folder.path + "/serve.lock";
  process::UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail(ErrorCode::kInternal, "The data folder " + folder.path + " can't be written.", path);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorCode::kConflict, "Another bulkhead serve uses the data folder " + folder.path + ".");
  }
  return file;
}

Result<std::string> load_or_create_node_id(const DataFolder& folder, Random& random) {
  const std::string path = folder.path + "/node_id";
  auto text = process::read_file(path, 256_B);
  if (!text && text.error().code == ErrorCode::kNotFound) {
    const std::string fresh = Uuid::v4(random).to_string();
    const auto written = process::write_file_atomically(path, fresh + "\n", 0600, process::IfExists::kRefuse);
    if (!written && written.error().code != ErrorCode::kAlreadyExists) return fail(written.error());
    text = process::read_file(path, 256_B);
  }
  if (!text) return fail(std::move(text.error()));
  const auto id = Uuid::parse(std::string_view(*text).substr(0, 36));
  if (!id) return fail(ErrorCode::kInternal, "The node id in the data folder is malformed.", path);
  return id->to_string();
}

Result<std::unique_ptr<sql::Database>> open_database(const Config& config, const DataFolder& folder,
                                                     metrics::Registry& registry) {
  if (config.database_url.empty()) {
    sql::SqliteOptions options;
    options.path = folder.database();
    options.readers = static_cast<std::size_t>(std::min<std::int64_t>(config.database_connections, 4));
    return sql::open_sqlite(options, registry);
  }
  sql::PostgresOptions options;
  options.url = config.database_url;
  options.connections = static_cast<std::size_t>(config.database_connections);
  return sql::open_postgres(options, registry);
}

Status migrate(sql::Database& database, Millis patience) {
  std::vector<sql::Migration> all;
  for (auto room : {access_migrations(), bus_migrations(), guard_migrations(), extensions_migrations(),
                    executions_migrations(), broker_migrations(), plans_migrations(), quarantine_migrations(),
                    secrets_migrations(), events_migrations(), schedules_migrations()}) {
    all.insert(all.end(), room.begin(), room.end());
  }
  const auto give_up = std::chrono::steady_clock::now() + patience;
  while (true) {
    auto migrated = database.migrate(all);
    const bool may_come = !migrated && migrated.error().code == ErrorCode::kStoreUnavailable;
    if (!may_come || std::chrono::steady_clock::now() >= give_up) return migrated;
    log::warn("waiting_for_database", migrated.error());
    std::this_thread::sleep_for(Millis(500));
  }
}

Result<std::unique_ptr<blob::Store>> open_blobs(const Config& config, const DataFolder& folder, Cores& cores) {
  if (config.s3_endpoint.empty()) {
    blob::FsOptions options;
    options.root = folder.blobs();
    return blob::make_fs_store(options);
  }
  blob::S3Options options;
  options.endpoint = config.s3_endpoint;
  options.region = config.s3_region;
  options.bucket = config.s3_bucket;
  options.access_key = config.s3_access_key;
  options.secret_key = config.s3_secret_key;
  options.key_prefix = config.s3_prefix;
  options.deadline = kBlobDeadline;
  return blob::make_s3_store(std::move(options), cores);
}

}  // namespace bulkhead::server
