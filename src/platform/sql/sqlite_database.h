// SqliteDatabase: one file, one writer thread with group commit, a few reader threads on WAL snapshots.
//
// The writer takes a transaction, and whatever else waits meanwhile, up to a number and a time; each runs in a
// savepoint of one SQLite transaction and one COMMIT (one fsync) makes all of them durable. Only then are their callers
// told.
#pragma once

#include <thread>
#include <vector>

#include "platform/sql/engines.h"
#include "platform/sql/sqlite_connection.h"
#include "platform/sql/transaction_queue.h"

namespace bulkhead::sql {

class SqliteDatabase final : public Database {
 public:
  SqliteDatabase(SqliteOptions options, metrics::Registry& registry);
  ~SqliteDatabase() override;
  // Opens the writer's connection, so that a wrong path shows at start, and starts the threads.
  Status start();

  Engine engine() const override { return Engine::kSqlite; }
  Status migrate(const std::vector<Migration>& migrations) override;
  void submit(Mode mode, const TenantScope* scope, Work work, Done done) override;
  void close() override;

 private:
  struct Ran {
    Job job;
    Status outcome;
  };
  void write_loop();
  void read_loop();
  // Runs `jobs` and more from the queue in one transaction. Returns those that must run again, because another one of
  // the group made SQLite roll everything back.
  std::vector<Job> run_group(std::vector<Job> jobs);
  std::vector<Ran> run_savepoints(std::vector<Job> jobs);
  Status run_in_savepoint(Job& job);
  void roll_back();
  // Logs when writing starts to fail and when it works again, not every group in between.
  void note_health(const Status& outcome);
  Status commit(const std::vector<Ran>& group);
  std::vector<Job> after_lost_group(std::vector<Ran> group);
  Status run_read(SqliteConnection& connection, Job& job);
  static Status make_ready(std::unique_ptr<SqliteConnection>& connection, const SqliteOptions& options,
                           SqliteConnection::Access access);

  const SqliteOptions options_;
  TransactionMetrics metrics_;
  TransactionQueue writes_;
  TransactionQueue reads_;
  // The writer thread's, once it runs.
  std::unique_ptr<SqliteConnection> writer_;
  bool failing_ = false;
  std::mutex close_mutex_;
  std::vector<std::thread> threads_;
};

}  // namespace bulkhead::sql
