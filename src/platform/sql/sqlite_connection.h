// SqliteConnection: one connection to the database file, with its prepared statements. Turns SQLite's result codes into
// errors and remembers when it must be reopened. Belongs to one database thread.
#pragma once

#include <sqlite3.h>

#include <list>
#include <string>
#include <unordered_map>

#include "platform/sql/engines.h"
#include "platform/sql/transaction.h"

namespace bulkhead::sql {

class SqliteConnection final : public Transaction {
 public:
  enum class Access : std::uint8_t { kWriter, kReader };
  // kStoreUnavailable when the file can't be opened, kStorageFull when there is no room to create it.
  static Result<std::unique_ptr<SqliteConnection>> open(const SqliteOptions& options, Access access);
  ~SqliteConnection() override;
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  Engine engine() const override { return Engine::kSqlite; }
  // BEGIN, SAVEPOINT, COMMIT …: no values, and not subject to an earlier failure of the transaction.
  Status control(std::string_view statement);
  // Several statements in one text.
  Status run_script(const std::string& script);

  // False when SQLite has rolled the transaction back by itself (full disk, I/O error, interrupt).
  bool in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }
  // Foreign keys declared DEFERRABLE are checked at COMMIT, where they would fail the whole group.
  bool has_unresolved_foreign_keys() const;
  // Moves the write-ahead log into the database file when it has grown. For the writer, between commits.
  void checkpoint_if_due();
  // After an I/O error nothing that this connection has cached can be trusted.
  bool must_reopen() const { return must_reopen_; }

 private:
  struct Statement {
    sqlite3_stmt* handle = nullptr;
    std::size_t parameters = 0;
    std::list<std::string>::iterator recency;
  };
  SqliteConnection(sqlite3* handle, Access access, const SqliteOptions& options);
  Status configure();
  Result<Outcome> run(std::string_view statement, const Values& values) override;
  Result<Statement*> prepare(std::string_view text);
  Status bind(sqlite3_stmt* statement, const Values& values);
  Result<Outcome> step_all(sqlite3_stmt* statement);
  void forget_least_recent();
  // What the last call's result code means.
  Error last_error(std::string_view statement);
  static int on_progress(void* self);
  static int on_commit(void* self, sqlite3* handle, const char* name, int log_pages);

  sqlite3* handle_;
  const Access access_;
  const Millis statement_timeout_;
  const Millis busy_timeout_;
  SteadyTime statement_deadline_{};
  bool must_reopen_ = false;
  int log_pages_ = 0;            // in the write-ahead log after the last commit
  int pages_at_checkpoint_ = 0;  // … at the last checkpoint
  std::unordered_map<std::string, Statement> statements_;
  std::list<std::string> recency_;  // most recent first
};

}  // namespace bulkhead::sql
