// PostgresConnection: one connection to the server, with its prepared statements. Always in libpq's pipeline mode:
// BEGIN, the tenant's role and setting, and the first statement travel together, so a transaction of one statement
// costs two round trips (one when it only reads). Belongs to one database thread; every wait has a deadline.
#pragma once

#include <libpq-fe.h>

#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "platform/sql/engines.h"
#include "platform/sql/transaction.h"

namespace bulkhead::sql {

class PostgresConnection final : public Transaction {
 public:
  // kWrite is serializable, kRead one read-only snapshot, kMigration read committed: it must see what another node did
  // while this one waited for the migration lock.
  enum class Kind : std::uint8_t { kRead, kWrite, kMigration };

  // kStoreUnavailable when the server can't be reached.
  static Result<std::unique_ptr<PostgresConnection>> connect(const PostgresOptions& options);

  Engine engine() const override { return Engine::kPostgres; }
  // Nothing is sent until the first statement; a transaction without statements never reaches the server.
  void begin(Kind kind, const TenantScope* scope);
  // Durable when it answers success. kStoreUnavailable with "outcome unknown" when the connection broke meanwhile.
  Status commit();
  // Ends a transaction whose end nobody has to wait for: a read, or one that failed.
  void end_without_waiting();
  // What it is connected as and to, quoted for SQL.
  std::string user_identifier() const { return quoted(PQuser(connection_.get())); }
  std::string database_identifier() const { return quoted(PQdb(connection_.get())); }
  // Several statements in one text, inside the transaction.
  Status run_script(const std::string& script);

  // The connection can't be used again.
  bool is_lost() const { return lost_; }
  // The last error says that the same transaction may succeed when it is run again.
  bool is_serialization_failure() const { return serialization_failure_; }

 private:
  struct Close {
    void operator()(PGconn* connection) const { PQfinish(connection); }
    void operator()(PGresult* result) const { PQclear(result); }
  };
  using ResultHandle = std::unique_ptr<PGresult, Close>;
  enum class Stage : std::uint8_t { kIdle, kPromised, kOpen };

  PostgresConnection(PGconn* connection, const PostgresOptions& options);
  Status set_up();
  std::string quoted(std::string_view name) const;
  Result<Outcome> run(std::string_view statement, const Values& values) override;
  // Sends BEGIN (and the tenant) if that is still to do, and before it what must be outside of a transaction; answers
  // the number of commands sent.
  Result<int> send_begin();
  Status send_text(const std::string& statement);
  Status send_prepare(const std::string& name, std::string_view statement, const Values& values);
  Status send_execute(const std::string& name, const Values& values);
  // Ends the batch and waits for the results of its `count` commands; the first error is the answer.
  Result<ResultHandle> exchange(int count);
  Result<ResultHandle> next_result(SteadyTime deadline);
  Status skip_to_sync(SteadyTime deadline);
  Status wait_for_server(SteadyTime deadline);
  void remember(std::string key, std::string name);
  std::string name_of(const std::string& key);
  Status sent(int ok);
  Error lost_error(std::string detail);
  Error result_error(const PGresult* result);

  std::unique_ptr<PGconn, Close> connection_;
  const Millis statement_timeout_;
  Stage stage_ = Stage::kIdle;
  Kind kind_ = Kind::kRead;
  std::optional<TenantId> tenant_;
  int completed_ = 0;      // commands of the last exchange that succeeded
  int syncs_to_skip_ = 0;  // batches whose results nobody waited for
  bool lost_ = false;
  bool serialization_failure_ = false;

  struct Statement {
    std::string name;
    std::list<std::string>::iterator recency;
  };
  std::unordered_map<std::string, Statement> statements_;
  std::list<std::string> recency_;      // most recent first
  std::vector<std::string> forgotten_;  // still prepared on the server
  std::uint64_t names_given_ = 0;
};

}  // namespace bulkhead::sql
