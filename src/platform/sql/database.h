// sql::Database: the port to SQLite and PostgreSQL. The same statements, the same tests, on both.
//
// A transaction is a plain synchronous function that gets a Tx; it runs on a database thread, never on an I/O thread:
//
//   Result<Install> install = co_await database.write(scope, [=](sql::TenantTx& tx) -> Result<Install> {
//     BH_TRY(auto rows, tx.query("SELECT … FROM tenant_extension_install WHERE tenant_id = $1 AND id = $2", {id}));
//     …
//   });
//
// - `write`: committed (and durable) before the coroutine resumes; an error result rolls back. Many SQLite writes share
//   one commit and one fsync (group commit); each is a savepoint, so one that fails does not touch its neighbours.
// - `read`: one consistent snapshot; a statement that writes fails.
// - The function may be run again after a serialization failure or a lost connection that happened before commit: it
//   must not change anything outside `tx`. Results are its return value. What it captured may be destroyed on that
//   thread.
// - Close the database before the cores go: its threads post results to them.
// - A statement that fails fails its transaction, on both engines: every later statement answers the same error and the
//   work is rolled back even when `work` returns success. To go on after a duplicate, use INSERT ... ON CONFLICT.
// - TenantTx binds the tenant as $1 of every statement (your values are $2, $3, …) and asserts that the statement uses
//   $1; on PostgreSQL it also runs as a non-owner role under row-level security. SystemTx has no tenant: migrations,
//   the registry of organizations, lookups that find out which tenant is meant, background jobs.
// - Isolation: a write behaves as if it ran alone (serializable), a read sees one snapshot.
// - Errors: kStoreUnavailable (engine unreachable, busy beyond the deadline; recovers by itself), kStorageFull,
//   kAlreadyExists (unique violation), kConflict (foreign key / check / not null), kBadRequest (text that is not UTF-8
//   or holds a NUL), kOverloaded (queue full), kShuttingDown, kInternal.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/tenant_scope.h"
#include "platform/async/task.h"
#include "platform/sql/migrations.h"
#include "platform/sql/value.h"

namespace bulkhead::sql {

enum class Engine : std::uint8_t { kSqlite, kPostgres };

// A connection in a transaction, as engines implement it. Only for the time of the call it is passed to.
class Connection {
 public:
  virtual ~Connection() = default;
  virtual Engine engine() const = 0;
  // Placeholders are $1, $2, …; every one must be bound.
  virtual Result<Rows> query(std::string_view statement, const Values& values) = 0;
  // Number of rows changed.
  virtual Result<std::int64_t> execute(std::string_view statement, const Values& values) = 0;
};

class SystemTx {
 public:
  explicit SystemTx(Connection& connection) : connection_(connection) {}
  Engine engine() const { return connection_.engine(); }
  Result<Rows> query(std::string_view statement, const Values& values = {}) {
    return connection_.query(statement, values);
  }
  Result<std::int64_t> execute(std::string_view statement, const Values& values = {}) {
    return connection_.execute(statement, values);
  }
  // The only row, or kNotFound.
  Result<Row> query_one(std::string_view statement, const Values& values = {});

 private:
  Connection& connection_;
};

class TenantTx {
 public:
  TenantTx(Connection& connection, TenantScope scope) : connection_(connection), scope_(scope) {}
  Engine engine() const { return connection_.engine(); }
  const TenantId& tenant() const { return scope_.tenant(); }
  Result<Rows> query(std::string_view statement, Values values = {});
  Result<std::int64_t> execute(std::string_view statement, Values values = {});
  Result<Row> query_one(std::string_view statement, Values values = {});

 private:
  Result<Values> bind_tenant(std::string_view statement, Values values) const;
  Connection& connection_;
  TenantScope scope_;
};

class Database {
 public:
  enum class Mode : std::uint8_t { kRead, kWrite };
  using Work = std::move_only_function<Status(Connection&)>;
  using Done = std::move_only_function<void(Status)>;

  virtual ~Database() = default;
  virtual Engine engine() const = 0;
  // Applies what is missing, in order, under a lock that other nodes respect. Blocking; called at start, before
  // serving.
  virtual Status migrate(const std::vector<Migration>& migrations) = 0;
  // Runs `work` on a database thread, inside a transaction (as the tenant when `scope` is set; it is copied); calls
  // `done` exactly once with the outcome after commit or rollback, on that thread, or on the calling thread when the
  // queue refuses the work. `done` must not block.
  virtual void submit(Mode mode, const TenantScope* scope, Work work, Done done) = 0;
  // Refuses new work (kShuttingDown), finishes what is queued, closes.
  virtual void close() = 0;

  template <typename F, typename R = std::invoke_result_t<F&, TenantTx&>>
  Task<R> read(TenantScope scope, F work) {
    co_return co_await run<R>(Mode::kRead, scope, std::move(work));
  }
  template <typename F, typename R = std::invoke_result_t<F&, TenantTx&>>
  Task<R> write(TenantScope scope, F work) {
    co_return co_await run<R>(Mode::kWrite, scope, std::move(work));
  }
  template <typename F, typename R = std::invoke_result_t<F&, SystemTx&>>
  Task<R> system_read(F work) {
    co_return co_await run<R>(Mode::kRead, std::nullopt, std::move(work));
  }
  template <typename F, typename R = std::invoke_result_t<F&, SystemTx&>>
  Task<R> system_write(F work) {
    co_return co_await run<R>(Mode::kWrite, std::nullopt, std::move(work));
  }
  // Blocking variants for commands and start-up; never on an I/O thread.
  template <typename F, typename R = std::invoke_result_t<F&, SystemTx&>>
  R system_write_blocking(F work);

 private:
  template <typename R, typename F>
  static R call_work(F& work, Connection& connection, const std::optional<TenantScope>& scope);
  template <typename R, typename F>
  Task<R> run(Mode mode, std::optional<TenantScope> scope, F work);
  void submit_and_wait(Mode mode, Work work, Status& outcome);
};

}  // namespace bulkhead::sql

#include "platform/sql/database_inline.h"
