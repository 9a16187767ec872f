#include "platform/sql/sqlite_connection.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "platform/observe/log.h"
#include "platform/sql/placeholders.h"

namespace bulkhead::sql {
namespace {

constexpr std::size_t kMostStatements = 256;
// Virtual machine instructions between two looks at the clock: some 100 µs.
constexpr int kProgressInterval = 4000;
// Of 4 KiB.
constexpr int kCheckpointPages = 2'000;
constexpr int kLargeLogPages = 16'000;
constexpr int kLargeLogWaitMillis = 200;

// Statement text is ours and holds no values, so it may be logged.
std::string describe(sqlite3* handle, std::string_view statement) {
  std::string text = sqlite3_errmsg(handle);
  text += " [" + std::to_string(sqlite3_extended_errcode(handle)) + "] in: ";
  text += statement.substr(0, 300);
  return text;
}

Error constraint_error(int extended, std::string detail) {
  switch (extended) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return fail(ErrorCode::kAlreadyExists, {}, std::move(detail)).error();
    default:
      return fail(ErrorCode::kConflict, {}, std::move(detail)).error();
  }
}

bool is_out_of_space(int system_errno) {
  return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG;
}

// The file holds everybody's data: only for our own user, whatever the umask. SQLite gives its WAL the same mode.
// Only where there is none yet: closing a descriptor of a file drops every POSIX lock that the process holds on it, and
// with them those of the connections that are open already. Another program that looked into the database would then
// believe to be the last one and remove the WAL (https://sqlite.org/howtocorrupt.html, §2.2).
void create_private(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file >= 0) ::close(file);  // a failure shows again, with a better message, when SQLite opens it
}

}  // namespace

Result<std::unique_ptr<SqliteConnection>> SqliteConnection::open(const SqliteOptions& options, Access access) {
  create_private(options.path);
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int opened = sqlite3_open_v2(options.path.c_str(), &handle, flags, nullptr);
  BH_ASSERT(handle != nullptr);
  std::unique_ptr<SqliteConnection> connection(new SqliteConnection(handle, access, options));
  if (opened != SQLITE_OK) return fail(connection->last_error("open " + options.path));
  BH_TRY_VOID(connection->configure());
  return connection;
}

SqliteConnection::SqliteConnection(sqlite3* handle, Access access, const SqliteOptions& options)
    : handle_(handle),
      access_(access),
      statement_timeout_(options.statement_timeout),
      busy_timeout_(options.busy_timeout) {
  sqlite3_progress_handler(handle_, kProgressInterval, &SqliteConnection::on_progress, this);
}

SqliteConnection::~SqliteConnection() {
  for (auto& [text, statement] : statements_) sqlite3_finalize(statement.handle);
  sqlite3_close(handle_);
}

Status SqliteConnection::configure() {
  sqlite3_busy_timeout(handle_, static_cast<int>(busy_timeout_.count()));
  // WAL with synchronous=FULL: a commit is on disk (fsync of the WAL) when COMMIT returns.
  std::string settings =
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
      "PRAGMA cache_size=-16384; PRAGMA journal_size_limit=67108864;"
      "PRAGMA trusted_schema=OFF;";
  if (access_ == Access::kReader) settings += "PRAGMA query_only=ON;";
  BH_TRY_VOID(run_script(settings));
  // Instead of SQLite's automatic checkpoints, which would run inside of COMMIT while callers wait.
  sqlite3_wal_hook(handle_, &SqliteConnection::on_commit, this);
  return {};
}

int SqliteConnection::on_commit(void* self, sqlite3*, const char*, int log_pages) {
  static_cast<SqliteConnection*>(self)->log_pages_ = log_pages;
  return SQLITE_OK;
}

// A passive checkpoint waits for nobody, but the log only starts anew at a moment without readers. Readers that always
// overlap would let it grow for ever, so a large log waits a little for those that still read from it.
void SqliteConnection::checkpoint_if_due() {
  if (log_pages_ < pages_at_checkpoint_) pages_at_checkpoint_ = 0;  // it has started anew
  if (log_pages_ - pages_at_checkpoint_ < kCheckpointPages) return;
  pages_at_checkpoint_ = log_pages_;
  const bool is_large = log_pages_ >= kLargeLogPages;
  if (is_large) sqlite3_busy_timeout(handle_, kLargeLogWaitMillis);
  const int mode = is_large ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
  const int result = sqlite3_wal_checkpoint_v2(handle_, nullptr, mode, nullptr, nullptr);
  if (result != SQLITE_OK && (result & 0xff) != SQLITE_BUSY) {
    log::warn("sql_checkpoint_failed", last_error("checkpoint"), {{"log_pages", log_pages_}});
  }
  sqlite3_busy_timeout(handle_, static_cast<int>(busy_timeout_.count()));
}

Status SqliteConnection::run_script(const std::string& script) {
  statement_deadline_ = std::chrono::steady_clock::now() + statement_timeout_;
  if (sqlite3_exec(handle_, script.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return fail(last_error(script));
  return {};
}

bool SqliteConnection::has_unresolved_foreign_keys() const {
  int unresolved = 0;
  int unused = 0;
  sqlite3_db_status(handle_, SQLITE_DBSTATUS_DEFERRED_FKS, &unresolved, &unused, 0);
  return unresolved != 0;
}

Status SqliteConnection::control(std::string_view statement) {
  BH_TRY_VOID(run(statement, {}));
  return {};
}

Result<Transaction::Outcome> SqliteConnection::run(std::string_view text, const Values& values) {
  BH_TRY(Statement * statement, prepare(text));
  BH_ASSERT(statement->parameters == values.size());
  statement_deadline_ = std::chrono::steady_clock::now() + statement_timeout_;
  BH_TRY_VOID(bind(statement->handle, values));
  Result<Outcome> outcome = step_all(statement->handle);
  if (!outcome) outcome = fail(last_error(text));
  sqlite3_reset(statement->handle);
  sqlite3_clear_bindings(statement->handle);
  return outcome;
}

Result<SqliteConnection::Statement*> SqliteConnection::prepare(std::string_view text) {
  std::string key(text);
  if (const auto found = statements_.find(key); found != statements_.end()) {
    recency_.splice(recency_.begin(), recency_, found->second.recency);
    return &found->second;
  }
  const std::vector<Placeholder> placeholders = find_placeholders(text);
  const std::string rewritten = to_sqlite_placeholders(text, placeholders);
  sqlite3_stmt* handle = nullptr;
  const char* rest = nullptr;
  if (sqlite3_prepare_v3(handle_, rewritten.data(), static_cast<int>(rewritten.size()), SQLITE_PREPARE_PERSISTENT,
                         &handle, &rest) != SQLITE_OK) {
    return fail(last_error(text));
  }
  BH_ASSERT(handle != nullptr);
  BH_ASSERT(std::string_view(rest).find_first_not_of(" \t\r\n;") == std::string_view::npos);  // one statement
  const auto parameters = static_cast<std::size_t>(sqlite3_bind_parameter_count(handle));
  BH_ASSERT(uses_exactly(placeholders, parameters));

  if (statements_.size() >= kMostStatements) forget_least_recent();
  recency_.push_front(key);
  const Statement statement{.handle = handle, .parameters = parameters, .recency = recency_.begin()};
  return &statements_.emplace(std::move(key), statement).first->second;
}

void SqliteConnection::forget_least_recent() {
  const auto found = statements_.find(recency_.back());
  sqlite3_finalize(found->second.handle);
  statements_.erase(found);
  recency_.pop_back();
}

Status SqliteConnection::bind(sqlite3_stmt* statement, const Values& values) {
  // The values outlive the execution: `run` clears the bindings before it returns.
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int index = static_cast<int>(i) + 1;
    const Value::Held& held = values[i].held();
    int bound = SQLITE_OK;
    if (const auto* number = std::get_if<std::int64_t>(&held)) {
      bound = sqlite3_bind_int64(statement, index, *number);
    } else if (const auto* real = std::get_if<double>(&held)) {
      bound = sqlite3_bind_double(statement, index, *real);
    } else if (const auto* text = std::get_if<std::string>(&held)) {
      bound = sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
    } else if (const auto* blob = std::get_if<Blob>(&held)) {
      // A null pointer would bind NULL.
      const char* bytes = blob->bytes.empty() ? "" : blob->bytes.data();
      bound = sqlite3_bind_blob64(statement, index, bytes, blob->bytes.size(), SQLITE_STATIC);
    } else {
      bound = sqlite3_bind_null(statement, index);
    }
    if (bound != SQLITE_OK) return fail(last_error("bind"));
  }
  return {};
}

namespace {

Value column_value(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return Value(static_cast<std::int64_t>(sqlite3_column_int64(statement, column)));
    case SQLITE_FLOAT:
      return Value(sqlite3_column_double(statement, column));
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
      return Value(std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, column))));
    }
    case SQLITE_BLOB: {
      const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, column));
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
      return Value(Blob{size == 0 ? std::string() : std::string(bytes, size)});
    }
    default:
      return Value();
  }
}

}  // namespace

// The error is described by the caller, before the statement is reset.
Result<Transaction::Outcome> SqliteConnection::step_all(sqlite3_stmt* statement) {
  Outcome outcome;
  const int columns = sqlite3_column_count(statement);
  int stepped = SQLITE_OK;
  while ((stepped = sqlite3_step(statement)) == SQLITE_ROW) {
    Values row;
    row.reserve(static_cast<std::size_t>(columns));
    for (int column = 0; column < columns; ++column) row.push_back(column_value(statement, column));
    outcome.rows.emplace_back(std::move(row));
  }
  if (stepped != SQLITE_DONE) return fail(ErrorCode::kInternal);
  if (sqlite3_stmt_readonly(statement) == 0) outcome.changed = sqlite3_changes64(handle_);
  return outcome;
}

Error SqliteConnection::last_error(std::string_view statement) {
  const int extended = sqlite3_extended_errcode(handle_);
  std::string detail = describe(handle_, statement);
  switch (extended & 0xff) {
    case SQLITE_CONSTRAINT:
      return constraint_error(extended, std::move(detail));
    case SQLITE_FULL:
      return fail(ErrorCode::kStorageFull, {}, std::move(detail)).error();
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: {
      const int cause = sqlite3_system_errno(handle_);
      must_reopen_ = true;
      detail += std::string(" (") + std::strerror(cause) + ")";
      const ErrorCode code = is_out_of_space(cause) ? ErrorCode::kStorageFull : ErrorCode::kStoreUnavailable;
      return fail(code, {}, std::move(detail)).error();
    }
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_PROTOCOL:
      must_reopen_ = true;
      return fail(ErrorCode::kStoreUnavailable, {}, std::move(detail)).error();
    case SQLITE_READONLY:
      if (access_ == Access::kReader) {
        return fail(ErrorCode::kInternal, "A read transaction may not write.", std::move(detail)).error();
      }
      must_reopen_ = true;
      return fail(ErrorCode::kStoreUnavailable, {}, std::move(detail)).error();
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
      return fail(ErrorCode::kStoreUnavailable, "The database is too busy.", std::move(detail)).error();
    case SQLITE_INTERRUPT:
      return fail(ErrorCode::kStoreUnavailable, "The statement took too long.", std::move(detail)).error();
    case SQLITE_TOOBIG:
      return fail(ErrorCode::kPayloadTooLarge, {}, std::move(detail)).error();
    default:
      return fail(ErrorCode::kInternal, {}, std::move(detail)).error();
  }
}

int SqliteConnection::on_progress(void* self) {
  const auto* connection = static_cast<const SqliteConnection*>(self);
  return std::chrono::steady_clock::now() > connection->statement_deadline_ ? 1 : 0;
}

}  // namespace bulkhead::sql
