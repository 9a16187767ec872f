#include "server/stores.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <thread>

#include "base/ids.h"
#include "platform/blob/stores.h"
#include "platform/observe/log.h"
#include "platform/process/errno_error.h"
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
constexpr Millis kLongestSilence{16'000};

Error unusable_folder(const std::string& path, const Error& why) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  std::string message = "The data folder " + path + " can't be written by this user";
  if (why.code == ErrorCode::kStorageFull) message = "There is no room left for the data folder " + path;
  if (std::filesystem::exists(status) && !std::filesystem::is_directory(status)) {
    message = "The data folder " + path + " is a file";
  }
  return fail(ErrorCode::kUnprocessable, message + "; name another with --data-dir.", why.detail).error();
}

// SIGTERM and SIGINT while the database is waited for, before the platform's own handling of them is there. A second
// one ends the process at once.
class StopWhileWaiting {
 public:
  StopWhileWaiting() {
    asked = 0;
    struct sigaction action{};
    action.sa_handler = [](int) { asked = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGTERM, &action, &term_);
    ::sigaction(SIGINT, &action, &interrupt_);
  }
  ~StopWhileWaiting() {
    ::sigaction(SIGTERM, &term_, nullptr);
    ::sigaction(SIGINT, &interrupt_, nullptr);
  }
  StopWhileWaiting(const StopWhileWaiting&) = delete;
  StopWhileWaiting& operator=(const StopWhileWaiting&) = delete;

  // False when it was asked to stop.
  bool sleep(Millis time) const {
    const auto end = std::chrono::steady_clock::now() + time;
    while (asked == 0 && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(Millis(50));
    return asked == 0;
  }

 private:
  static inline volatile std::sig_atomic_t asked = 0;
  struct sigaction term_{}, interrupt_{};
};

}  // namespace

Result<DataFolder> open_data_folder(const std::string& path) {
  // Children and workers may have another working directory.
  const std::string absolute = std::filesystem::absolute(path).lexically_normal().string();
  DataFolder folder{absolute};
  for (const std::string& part : {folder.path, folder.keys(), folder.journal(), folder.blobs(), folder.staging()}) {
    if (const auto made = process::make_directory(part); !made) return fail(unusable_folder(folder.path, made.error()));
  }
  if (::access(folder.path.c_str(), W_OK) != 0) {
    return fail(unusable_folder(folder.path, process::fail_errno(errno, "access", folder.path).error()));
  }
  return folder;
}

Result<process::UniqueFd> lock_data_folder(const DataFolder& folder) {
  const std::string path = folder.path + "/serve.lock";
  process::UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail(ErrorCode::kInternal, "The data folder " + folder.path + " can't be written.", path);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorCode::kConflict, "Another bulkhead serve uses the data folder " + folder.path +
                                          "; stop it, or name another folder with --data-dir.");
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
  const StopWhileWaiting stop;
  Millis silence{1'000};  // doubles from line to line
  auto next_line = std::chrono::steady_clock::now();
  while (true) {
    auto migrated = database.migrate(all);
    const bool may_come = !migrated && migrated.error().code == ErrorCode::kStoreUnavailable;
    if (!may_come || std::chrono::steady_clock::now() >= give_up) return migrated;
    if (const auto now = std::chrono::steady_clock::now(); now >= next_line) {
      log::warn_at_once("waiting_for_database", migrated.error());
      next_line = now + silence;
      silence = std::min(silence * 2, kLongestSilence);
    }
    if (!stop.sleep(Millis(500))) return fail(ErrorCode::kShuttingDown);
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
