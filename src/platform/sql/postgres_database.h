// PostgresDatabase: a pool of threads, each with a connection of its own, that take transactions from one queue.
//
// A serialization failure, and a connection that broke before COMMIT was sent, run the transaction again. While the
// server is unreachable one attempt to connect is made per back-off; everything else fails at once.
#pragma once

#include <thread>
#include <vector>

#include "platform/sql/engines.h"
#include "platform/sql/postgres_connection.h"
#include "platform/sql/transaction_queue.h"

namespace bulkhead::sql {

// When the pool may try to connect again. Thread-safe.
class ConnectBackoff {
 public:
  bool may_try() const;
  // True when this is the first success after a failure.
  bool succeeded();
  // True when this is the first failure after a success.
  bool failed(Random& random);

 private:
  mutable std::mutex mutex_;
  SteadyTime next_attempt_{};
  Millis delay_{0};
};

class PostgresDatabase final : public Database {
 public:
  PostgresDatabase(PostgresOptions options, metrics::Registry& registry);
  ~PostgresDatabase() override;

  Engine engine() const override { return Engine::kPostgres; }
  Status migrate(const std::vector<Migration>& migrations) override;
  void submit(Mode mode, const TenantScope* scope, Work work, Done done) override;
  void close() override;

 private:
  struct Attempt {
    Status outcome;
    bool may_run_again = false;
  };
  void work_loop();
  Status run_with_retries(std::unique_ptr<PostgresConnection>& connection, Job& job, Random& random);
  Attempt run_once(std::unique_ptr<PostgresConnection>& connection, Job& job, Random& random);
  Status make_ready(std::unique_ptr<PostgresConnection>& connection, Random& random);
  static Status migrate_with(PostgresConnection& connection, const std::vector<Migration>& migrations);

  const PostgresOptions options_;
  TransactionMetrics metrics_;
  TransactionQueue queue_;
  ConnectBackoff backoff_;
  std::mutex close_mutex_;
  std::vector<std::thread> threads_;
};

}  // namespace bulkhead::sql
