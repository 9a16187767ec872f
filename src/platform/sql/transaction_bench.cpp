// How many durable writes a second, and how long a read takes, through sql::Database as rooms use it (coroutines on one
// core, work on the database threads). fsync is on. The baselines do the same statements on a bare connection of the
// same minute: one commit a write, and a read without a queue and threads.
#include <benchmark/benchmark.h>

#include "platform/sql/sqlite_connection.h"
#include "platform/sql/test_database.h"

namespace bulkhead::sql {
namespace {

const Migration kSchema =
    migration_file("bench", "0001_item.sql", "CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT NOT NULL);");
constexpr const char* kInsert = "INSERT INTO item (id, name) VALUES ($1, $2)";
constexpr const char* kSelect = "SELECT name FROM item WHERE id = $1";
const std::string kName(100, 'n');
constexpr std::int64_t kRows = 1'000;

Task<> write_some(Database& database, std::int64_t& next, std::int64_t end) {
  while (next < end) {
    const std::int64_t id = next++;
    const auto outcome =
        co_await database.system_write([id](SystemTx& tx) { return tx.execute(kInsert, {id, kName}); });
    BH_ASSERT(outcome.has_value());
  }
}

Task<> read_some(Database& database, std::int64_t& left) {
  while (left > 0) {
    const std::int64_t id = left-- % kRows;
    const auto row = co_await database.system_read([id](SystemTx& tx) { return tx.query_one(kSelect, {id}); });
    BH_ASSERT(row.has_value());
  }
}

void run_many(std::int64_t count, const auto& make_task) {
  for (std::int64_t i = 0; i < count; ++i) start_task(make_task());
  run_tasks();
}

void writes(benchmark::State& state, Engine engine) {
  TestDatabase database = open_test_database(engine, {{kSchema}});
  const std::int64_t writers = state.range(0);
  const std::int64_t batch = std::max<std::int64_t>(200, writers * 50);
  std::int64_t next = 0;
  for (auto unused : state) {
    const std::int64_t end = next + batch;
    run_many(writers, [&] { return write_some(*database, next, end); });
  }
  state.SetItemsProcessed(next);
  const auto commits =
      database.registry().counter("bulkhead_sql_commits_total", "", {{"engine", to_string(engine)}}).value();
  state.counters["writes_per_commit"] = static_cast<double>(next) / static_cast<double>(commits);
}
BENCHMARK_CAPTURE(writes, sqlite, Engine::kSqlite)->Arg(1)->Arg(8)->Arg(64)->Arg(256)->UseRealTime();
BENCHMARK_CAPTURE(writes, postgres, Engine::kPostgres)->Arg(1)->Arg(8)->Arg(64)->UseRealTime();

void reads(benchmark::State& state, Engine engine) {
  TestDatabase database = open_test_database(engine, {{kSchema}});
  std::int64_t next = 0;
  run_many(64, [&] { return write_some(*database, next, kRows); });
  std::int64_t done = 0;
  for (auto unused : state) {
    std::int64_t left = 1'000;
    done += left;
    run_many(state.range(0), [&] { return read_some(*database, left); });
  }
  state.SetItemsProcessed(done);
}
BENCHMARK_CAPTURE(reads, sqlite, Engine::kSqlite)->Arg(1)->Arg(16)->UseRealTime();
BENCHMARK_CAPTURE(reads, postgres, Engine::kPostgres)->Arg(1)->Arg(16)->UseRealTime();

void baseline_one_commit_a_write(benchmark::State& state) {
  TestDatabase database = open_test_database(Engine::kSqlite, {{kSchema}});
  const auto connection = SqliteConnection::open({.path = database.place()}, SqliteConnection::Access::kWriter).value();
  std::int64_t next = 0;
  for (auto unused : state) BH_ASSERT(connection->execute(kInsert, {next++, kName}).has_value());
  state.SetItemsProcessed(next);
}
BENCHMARK(baseline_one_commit_a_write)->UseRealTime();

void baseline_bare_read(benchmark::State& state) {
  TestDatabase database = open_test_database(Engine::kSqlite, {{kSchema}});
  std::int64_t next = 0;
  run_many(64, [&] { return write_some(*database, next, kRows); });
  const auto connection = SqliteConnection::open({.path = database.place()}, SqliteConnection::Access::kReader).value();
  std::int64_t done = 0;
  for (auto unused : state) BH_ASSERT(connection->query(kSelect, {done++ % kRows})->size() == 1);
  state.SetItemsProcessed(done);
}
BENCHMARK(baseline_bare_read)->UseRealTime();

}  // namespace
}  // namespace bulkhead::sql

BENCHMARK_MAIN();
