// What is special about the PostgreSQL engine: a server that goes away, and connections that break.
#include <gtest/gtest.h>

#include <thread>

#include "platform/sql/postgres_database.h"
#include "platform/sql/postgres_errors.h"
#include "platform/sql/test_database.h"
#include "platform/sql/test_postgres.h"

namespace bulkhead::sql {
namespace {

const Migration kSchema = migration_file("t", "0001_t.sql", "CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT);");

ErrorCode code_of(const auto& result) { return result ? ErrorCode::kCancelled : result.error().code; }

// A server of its own, since it is stopped.
class PostgresOutageTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new TestPostgres(); }
  static void TearDownTestSuite() { delete std::exchange(server_, nullptr); }
  void SetUp() override {
    PostgresOptions options{.url = server_->url(server_->create_database()), .connections = 2};
    options.statement_timeout = Millis(500);
    options.connect_timeout = Millis(2'000);
    database_ = open_postgres(options, registry_).value();
    ASSERT_TRUE(database_->migrate({kSchema}));
  }
  Result<std::int64_t> insert(std::int64_t id) {
    return wait(
        database_->system_write([id](SystemTx& tx) { return tx.execute("INSERT INTO item (id) VALUES ($1)", {id}); }));
  }
  // Until the back-off lets it try again.
  Result<std::int64_t> insert_before(std::int64_t id, std::chrono::seconds limit) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + limit;
    while (true) {
      Result<std::int64_t> outcome = insert(id);
      if (outcome || std::chrono::steady_clock::now() >= deadline) return outcome;
      std::this_thread::yield();
    }
  }

  static inline TestPostgres* server_ = nullptr;
  metrics::Registry registry_;
  std::unique_ptr<Database> database_;
};

TEST_F(PostgresOutageTest, AStoppedServerIsStoreUnavailableAndThenItRecovers) {
  ASSERT_TRUE(insert(1));
  server_->stop();
  EXPECT_EQ(code_of(insert(2)), ErrorCode::kStoreUnavailable);
  // While it is down callers don't wait: connecting is tried once per back-off.
  const SteadyTime before = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(code_of(insert(3)), ErrorCode::kStoreUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
  EXPECT_EQ(code_of(database_->migrate({kSchema})), ErrorCode::kStoreUnavailable);
  server_->start();
  EXPECT_TRUE(insert_before(4, std::chrono::seconds(10)));
  const auto rows = wait(database_->system_read([](SystemTx& tx) { return tx.query("SELECT id FROM item"); }));
  EXPECT_EQ(rows.value().size(), 2U);
}

TEST_F(PostgresOutageTest, ARestartBetweenTransactionsIsNotNoticed) {
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(insert(i));  // every connection is open
  server_->stop();
  server_->start();
  for (int i = 10; i < 14; ++i) EXPECT_TRUE(insert(i));
}

TEST_F(PostgresOutageTest, AServerThatDoesNotAnswerIsStoreUnavailable) {
  ASSERT_TRUE(insert(1));
  server_->freeze();
  const auto outcome = insert(2);
  server_->thaw();
  EXPECT_EQ(code_of(outcome), ErrorCode::kStoreUnavailable);
  EXPECT_TRUE(insert_before(3, std::chrono::seconds(10)));
}

TEST_F(PostgresOutageTest, OpeningDoesNotNeedTheServer) {
  const std::string url = server_->url(server_->create_database());
  server_->stop();
  metrics::Registry registry;
  const auto early = open_postgres({.url = url}, registry).value();
  EXPECT_EQ(code_of(wait(early->system_read([](SystemTx& tx) { return tx.query("SELECT 1"); }))),
            ErrorCode::kStoreUnavailable);
  server_->start();
  const SteadyTime deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  Status migrated = early->migrate({kSchema});
  while (!migrated && std::chrono::steady_clock::now() < deadline) migrated = early->migrate({kSchema});
  EXPECT_TRUE(migrated);
}

class PostgresTest : public testing::Test {
 protected:
  TestDatabase database_ = open_test_database(Engine::kPostgres, {{kSchema}});
};

TEST_F(PostgresTest, AConnectionThatBreaksBeforeCommitRunsTheTransactionAgain) {
  int runs = 0;
  const auto outcome = wait(database_->system_write([&](SystemTx& tx) -> Result<std::int64_t> {
    BH_TRY_VOID(tx.execute("INSERT INTO item (id) VALUES (1)"));
    if (++runs == 1) {
      BH_TRY_VOID(tx.query("SELECT pg_terminate_backend(pg_backend_pid())"));
    }
    return tx.execute("INSERT INTO item (id) VALUES (2)");
  }));
  EXPECT_TRUE(outcome);
  EXPECT_EQ(runs, 2);
}

TEST_F(PostgresTest, AConnectionThatBreaksDuringCommitHasAnUnknownOutcome) {
  ASSERT_TRUE(wait(database_->system_write([](SystemTx& tx) -> Status {
    BH_TRY_VOID(
        tx.execute("CREATE FUNCTION break_connection() RETURNS trigger LANGUAGE plpgsql AS "
                   "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); RETURN NULL; END'"));
    BH_TRY_VOID(
        tx.execute("CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED "
                   "FOR EACH ROW EXECUTE FUNCTION break_connection()"));
    return {};
  })));
  int runs = 0;
  const auto outcome = wait(database_->system_write([&](SystemTx& tx) {
    ++runs;
    return tx.execute("INSERT INTO item (id) VALUES (1)");
  }));
  ASSERT_EQ(code_of(outcome), ErrorCode::kStoreUnavailable);
  EXPECT_NE(outcome.error().message.find("outcome is unknown"), std::string::npos);
  EXPECT_EQ(runs, 1);  // it may have happened: not again
}

TEST_F(PostgresTest, ADeferredConstraintFailsTheCommit) {
  ASSERT_TRUE(wait(database_->system_write([](SystemTx& tx) {
    return tx.execute("ALTER TABLE item ADD CONSTRAINT one_name UNIQUE (name) DEFERRABLE INITIALLY DEFERRED");
  })));
  const auto outcome = wait(database_->system_write(
      [](SystemTx& tx) { return tx.execute("INSERT INTO item (id, name) VALUES (1, 'a'), (2, 'a')"); }));
  EXPECT_EQ(code_of(outcome), ErrorCode::kAlreadyExists);
}

TEST_F(PostgresTest, ASchemaChangeUnderPreparedStatementsIsNotNoticed) {
  const auto read = [&] {
    return wait(database_->system_read([](SystemTx& tx) { return tx.query("SELECT * FROM item"); }));
  };
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(read());  // prepared on every connection
  ASSERT_TRUE(wait(database_->system_write(
      [](SystemTx& tx) { return tx.execute("ALTER TABLE item ADD COLUMN size BIGINT DEFAULT 7"); })));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(read());
}

TEST_F(PostgresTest, CountsRetriesOfSerializationFailures) {
  ASSERT_TRUE(wait(
      database_->system_write([](SystemTx& tx) { return tx.execute("INSERT INTO item (id, name) VALUES (1, '0')"); })));
  int runs = 0;
  const auto outcome = wait(database_->system_write([&](SystemTx& tx) -> Result<std::int64_t> {
    BH_TRY_VOID(tx.query_one("SELECT name FROM item WHERE id = 1"));
    if (++runs == 1) {
      EXPECT_TRUE(database_->system_write_blocking(
          [](SystemTx& other) { return other.execute("UPDATE item SET name = 'other' WHERE id = 1"); }));
    }
    return tx.execute("UPDATE item SET name = name || '!' WHERE id = 1");
  }));
  EXPECT_TRUE(outcome);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(wait(database_->system_read([](SystemTx& tx) { return tx.query_one("SELECT name FROM item"); }))->text(0),
            "other!");
  EXPECT_EQ(database_.registry().counter("bulkhead_sql_retries_total", "", {{"engine", "postgres"}}).value(), 1U);
}

TEST(PostgresOpen, AMalformedUrlIsRefusedWithoutShowingIt) {
  metrics::Registry registry;
  const auto outcome = open_postgres({.url = "postgresql://me:hunter2@host:port:what/db?x"}, registry);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().to_log_string().find("hunter2"), std::string::npos);
}

TEST(PostgresErrors, HaveTheirMeanings) {
  struct Case {
    const char* state;
    ErrorCode code;
  };
  for (const Case& one : std::vector<Case>{{"23505", ErrorCode::kAlreadyExists},
                                           {"23503", ErrorCode::kConflict},
                                           {"23514", ErrorCode::kConflict},
                                           {"53100", ErrorCode::kStorageFull},
                                           {"53300", ErrorCode::kStoreUnavailable},
                                           {"57014", ErrorCode::kStoreUnavailable},
                                           {"42P01", ErrorCode::kInternal},
                                           {"42501", ErrorCode::kInternal},
                                           {"XX000", ErrorCode::kInternal}}) {
    EXPECT_EQ(error_for_state(one.state, "").code, one.code) << one.state;
  }
}

TEST(ConnectBackoff, GrowsToABoundAndStartsAnew) {
  SeededRandom random(1);
  ConnectBackoff backoff;
  EXPECT_TRUE(backoff.may_try());
  EXPECT_TRUE(backoff.failed(random));
  EXPECT_FALSE(backoff.may_try());
  EXPECT_FALSE(backoff.failed(random));
  EXPECT_TRUE(backoff.succeeded());
  EXPECT_TRUE(backoff.may_try());
  EXPECT_FALSE(backoff.succeeded());
}

}  // namespace
}  // namespace bulkhead::sql
