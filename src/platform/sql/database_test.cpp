// The conformance suite of sql::Database: what every engine must do alike.
#include "platform/sql/database.h"

#include <gtest/gtest.h>

#include <latch>
#include <thread>

#include "platform/sql/test_database.h"

namespace bulkhead::sql {
namespace {

const Migration kSchema = migration_file("shop", "0001_shop.sql", R"(
-- tenant-scoped: item
CREATE TABLE item (
  tenant_id TEXT NOT NULL, id BIGINT NOT NULL, name TEXT, price DOUBLE PRECISION, picture BYTEA,
  amount BIGINT CHECK (amount >= 0), PRIMARY KEY (tenant_id, id));
CREATE TABLE counter (id BIGINT PRIMARY KEY, value BIGINT NOT NULL);
CREATE TABLE part (id BIGINT PRIMARY KEY, counter_id BIGINT REFERENCES counter (id) DEFERRABLE INITIALLY DEFERRED);
)");

TenantScope new_scope() {
  SystemRandom random;
  return TenantScope::for_background_job(TenantId::v4(random), "test");
}

ErrorCode code_of(const auto& result) { return result ? ErrorCode::kCancelled : result.error().code; }

class DatabaseTest : public testing::TestWithParam<Engine> {
 protected:
  Result<std::int64_t> count(const char* table) {
    return wait(database_->system_read([table](SystemTx& tx) -> Result<std::int64_t> {
      BH_TRY(const Row row, tx.query_one(std::string("SELECT COUNT(*) FROM ") + table));
      return row.integer(0);
    }));
  }
  Result<std::int64_t> system_execute(std::string statement, Values values = {}) {
    return wait(database_->system_write([statement = std::move(statement), values = std::move(values)](SystemTx& tx) {
      return tx.execute(statement, values);
    }));
  }

  TestDatabase database_ = open_test_database(GetParam(), {{kSchema}});
  const TenantScope scope_ = new_scope();
};
INSTANTIATE_TEST_SUITE_P(Engines, DatabaseTest, testing::ValuesIn(test_engines()), test_engine_name);

TEST_P(DatabaseTest, ValuesComeBackAsTheyWere) {
  struct Item {
    std::optional<std::string> name;
    Value price;
    Value picture;
    Value amount;
  };
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes += static_cast<char>(i);
  const std::vector<Item> items = {
      {"plain", 1.5, Blob{all_bytes}, std::int64_t{0}},
      {"", 0.1, Blob{""}, std::numeric_limits<std::int64_t>::max()},
      {std::nullopt, nullptr, nullptr, nullptr},
      {"Grüße 🎉 'quoted' \"$1\" \\x41 \n\t", -1e300, Blob{std::string("\0\\x00'", 6)}, 42},
      {std::string(200'000, 'x'), 5e-324, Blob{std::string(200'000, '\xff')}, 1},
  };
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    const auto id = static_cast<std::int64_t>(i);
    ASSERT_EQ(wait(database_->write(scope_,
                                    [&](TenantTx& tx) {
                                      return tx.execute(
                                          "INSERT INTO item (tenant_id, id, name, price, picture, amount) "
                                          "VALUES ($1, $2, $3, $4, $5, $6)",
                                          {id, item.name, item.price, item.picture, item.amount});
                                    }))
                  .value(),
              1);
    const Row row =
        wait(database_->read(scope_, [&](TenantTx& tx) {
          return tx.query_one(
              "SELECT name, price, picture, amount, tenant_id FROM item WHERE tenant_id = $1 AND id = $2", {id});
        })).value();
    EXPECT_EQ(row.optional_text(0), item.name);
    EXPECT_EQ(row.at(1).held(), item.price.held());
    EXPECT_EQ(row.at(2).held(), item.picture.held());
    EXPECT_EQ(row.at(3).held(), item.amount.held());
    EXPECT_EQ(row.id<TenantId>(4), scope_.tenant());
  }
}

TEST_P(DatabaseTest, ExpressionsHaveTheSameTypes) {
  ASSERT_TRUE(system_execute("INSERT INTO counter (id, value) VALUES ($1, $2), ($3, $4)", {1, 10, 2, 20}));
  const std::int64_t micros = 1'700'000'000'000'000;
  const Row row =
      wait(database_->system_read([&](SystemTx& tx) {
        return tx.query_one(
            "SELECT SUM(value), COUNT(*), EXISTS (SELECT 1 FROM counter WHERE id = $1), $2 - 1000, MAX(value) * 1.5, "
            "COALESCE($3, 'none'), SUM(value) > 29 FROM counter",
            {1, micros, nullptr});
      })).value();
  EXPECT_EQ(row.integer(0), 30);
  EXPECT_EQ(row.integer(1), 2);
  EXPECT_TRUE(row.boolean(2));
  EXPECT_EQ(row.integer(3), micros - 1000);
  EXPECT_DOUBLE_EQ(row.real(4), 30.0);
  EXPECT_EQ(row.text(5), "none");
  EXPECT_TRUE(row.boolean(6));
}

TEST_P(DatabaseTest, TextSortsByItsBytes) {
  for (const char* name : {"b", "B", "a", "ä", "Z", "_"}) {
    ASSERT_TRUE(wait(database_->write(scope_, [&](TenantTx& tx) {
      return tx.execute("INSERT INTO item (tenant_id, id, name) SELECT $1, COALESCE(MAX(id), 0) + 1, $2 FROM item",
                        {name});
    })));
  }
  const Rows rows = wait(database_->read(scope_, [](TenantTx& tx) {
                      return tx.query("SELECT name FROM item WHERE tenant_id = $1 ORDER BY name");
                    })).value();
  std::string order;
  for (const Row& row : rows) order += row.text(0);
  EXPECT_EQ(order, "BZ_abä");
}

TEST_P(DatabaseTest, AnErrorResultRollsBack) {
  const Status outcome = wait(database_->system_write([](SystemTx& tx) -> Status {
    BH_TRY_VOID(tx.execute("INSERT INTO counter (id, value) VALUES (1, 1)"));
    return fail(ErrorCode::kQuotaExceeded, "no");
  }));
  EXPECT_EQ(code_of(outcome), ErrorCode::kQuotaExceeded);
  EXPECT_EQ(count("counter").value(), 0);
}

TEST_P(DatabaseTest, AnExceptionRollsBack) {
  const Status outcome = wait(database_->system_write([](SystemTx& tx) -> Status {
    BH_TRY_VOID(tx.execute("INSERT INTO counter (id, value) VALUES (1, 1)"));
    throw std::runtime_error("from a library");
  }));
  EXPECT_EQ(code_of(outcome), ErrorCode::kInternal);
  EXPECT_EQ(count("counter").value(), 0);
}

TEST_P(DatabaseTest, AFailedStatementFailsTheTransactionEvenWhenIgnored) {
  ASSERT_TRUE(system_execute("INSERT INTO counter (id, value) VALUES (1, 1)"));
  ErrorCode second = ErrorCode::kCancelled;
  const Status outcome = wait(database_->system_write([&](SystemTx& tx) -> Status {
    BH_TRY_VOID(tx.execute("INSERT INTO counter (id, value) VALUES (2, 2)"));
    EXPECT_FALSE(tx.execute("INSERT INTO counter (id, value) VALUES (1, 1)"));
    second = code_of(tx.query("SELECT 1"));
    return {};
  }));
  EXPECT_EQ(code_of(outcome), ErrorCode::kAlreadyExists);
  EXPECT_EQ(second, ErrorCode::kAlreadyExists);
  EXPECT_EQ(count("counter").value(), 1);
}

TEST_P(DatabaseTest, ViolationsHaveTheirCodes) {
  ASSERT_TRUE(system_execute("INSERT INTO counter (id, value) VALUES (1, 1)"));
  struct Case {
    const char* statement;
    ErrorCode code;
  };
  const std::vector<Case> cases = {
      {"INSERT INTO counter (id, value) VALUES (1, 2)", ErrorCode::kAlreadyExists},
      {"INSERT INTO counter (id, value) VALUES (2, NULL)", ErrorCode::kConflict},
      {"INSERT INTO part (id, counter_id) VALUES (1, 99)", ErrorCode::kConflict},
      {"INSERT INTO item (tenant_id, id, amount) VALUES ('t', 1, -1)", ErrorCode::kConflict},
      {"INSERT INTO nothing (id) VALUES (1)", ErrorCode::kInternal},
      {"SELEKT 1", ErrorCode::kInternal},
  };
  for (const Case& one : cases) EXPECT_EQ(code_of(system_execute(one.statement)), one.code) << one.statement;
  EXPECT_EQ(count("part").value(), 0);
  EXPECT_TRUE(system_execute("INSERT INTO part (id, counter_id) VALUES (1, 1)"));
}

TEST_P(DatabaseTest, RefusesTextThatOneEngineCouldNotHold) {
  for (const std::string& text : {std::string("a\0b", 3), std::string("\xff")}) {
    const auto outcome = wait(database_->write(scope_, [&](TenantTx& tx) {
      return tx.execute("INSERT INTO item (tenant_id, id, name) VALUES ($1, 1, $2)", {text});
    }));
    EXPECT_EQ(code_of(outcome), ErrorCode::kBadRequest);
  }
}

TEST_P(DatabaseTest, AReadCanNotWrite) {
  const auto outcome = wait(
      database_->system_read([](SystemTx& tx) { return tx.execute("INSERT INTO counter (id, value) VALUES (1, 1)"); }));
  EXPECT_EQ(code_of(outcome), ErrorCode::kInternal);
  EXPECT_EQ(count("counter").value(), 0);
}

TEST_P(DatabaseTest, AReadSeesOneSnapshot) {
  const auto seen = wait(database_->system_read([&](SystemTx& tx) -> Result<std::pair<std::int64_t, std::int64_t>> {
    BH_TRY(const Row before, tx.query_one("SELECT COUNT(*) FROM counter"));
    EXPECT_TRUE(database_->system_write_blocking(
        [](SystemTx& other) { return other.execute("INSERT INTO counter (id, value) VALUES (1, 1)"); }));
    BH_TRY(const Row after, tx.query_one("SELECT COUNT(*) FROM counter"));
    return std::pair(before.integer(0), after.integer(0));
  }));
  EXPECT_EQ(seen.value(), (std::pair<std::int64_t, std::int64_t>(0, 0)));
  EXPECT_EQ(count("counter").value(), 1);
}

Task<> increment(Database& database, int times, int& failures) {
  for (int i = 0; i < times; ++i) {
    const Status outcome = co_await database.system_write([](SystemTx& tx) -> Status {
      BH_TRY(const Row row, tx.query_one("SELECT value FROM counter WHERE id = 1"));
      BH_TRY_VOID(tx.execute("UPDATE counter SET value = $1 WHERE id = 1", {row.integer(0) + 1}));
      return {};
    });
    if (!outcome) ++failures;
  }
}

TEST_P(DatabaseTest, ConcurrentWritesBehaveAsIfAlone) {
  ASSERT_TRUE(system_execute("INSERT INTO counter (id, value) VALUES (1, 0)"));
  int failures = 0;
  for (int i = 0; i < 4; ++i) start_task(increment(*database_, 25, failures));
  run_tasks();
  EXPECT_EQ(failures, 0);
  const auto value =
      wait(database_->system_read([](SystemTx& tx) { return tx.query_one("SELECT value FROM counter WHERE id = 1"); }));
  EXPECT_EQ(value->integer(0), 100);
}

TEST_P(DatabaseTest, WriteSkewIsImpossible) {
  // Two transactions read the same sum and each takes one away: under snapshot isolation both would succeed. Each waits
  // for the other to have read, but not for ever: where writes take turns, it never comes.
  ASSERT_TRUE(system_execute("INSERT INTO counter (id, value) VALUES (1, 1), (2, 1)"));
  std::atomic<int> have_read = 0;
  const auto take = [&](int id) {
    return database_->system_write([id, &have_read](SystemTx& tx) -> Status {
      BH_TRY(const Row row, tx.query_one("SELECT SUM(value) FROM counter"));
      ++have_read;
      const SteadyTime deadline = std::chrono::steady_clock::now() + Millis(200);
      while (have_read < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
      if (row.integer(0) < 2) return fail(ErrorCode::kQuotaExceeded);
      BH_TRY_VOID(tx.execute("UPDATE counter SET value = 0 WHERE id = $1", {id}));
      return {};
    });
  };
  std::array<Status, 2> outcomes;
  const auto keep = [](Task<Status> task, Status& outcome) -> Task<> { outcome = co_await std::move(task); };
  start_task(keep(take(1), outcomes[0]));
  start_task(keep(take(2), outcomes[1]));
  run_tasks();
  EXPECT_NE(outcomes[0].has_value(), outcomes[1].has_value());
}

TEST_P(DatabaseTest, ReturningGivesRowsOfAWrite) {
  const auto row = wait(database_->system_write([](SystemTx& tx) {
    return tx.query_one("INSERT INTO counter (id, value) VALUES ($1, $2) RETURNING value + 1", {1, 41});
  }));
  EXPECT_EQ(row->integer(0), 42);
}

TEST_P(DatabaseTest, ExecuteCountsChangedRows) {
  ASSERT_EQ(system_execute("INSERT INTO counter (id, value) VALUES (1, 1), (2, 1), (3, 3)").value(), 3);
  EXPECT_EQ(system_execute("UPDATE counter SET value = 2 WHERE value = 1").value(), 2);
  EXPECT_EQ(system_execute("DELETE FROM counter WHERE id = 99").value(), 0);
  EXPECT_EQ(system_execute("INSERT INTO counter (id, value) VALUES (1, 1) ON CONFLICT DO NOTHING").value(), 0);
}

TEST_P(DatabaseTest, QueryOneWithoutARowIsNotFound) {
  const auto row =
      wait(database_->system_read([](SystemTx& tx) { return tx.query_one("SELECT value FROM counter WHERE id = 7"); }));
  EXPECT_EQ(code_of(row), ErrorCode::kNotFound);
}

TEST_P(DatabaseTest, ManyDifferentStatementsDoNotExhaustTheCache) {
  for (int i = 0; i < 600; ++i) {
    const auto row = wait(database_->system_read(
        [i](SystemTx& tx) { return tx.query_one("SELECT " + std::to_string(i) + " + $1", {1}); }));
    ASSERT_EQ(row.value().integer(0), i + 1);
  }
}

TEST_P(DatabaseTest, AWorkWithoutStatementsSucceeds) {
  EXPECT_TRUE(wait(database_->system_write([](SystemTx&) -> Status { return {}; })));
  EXPECT_TRUE(wait(database_->read(scope_, [](TenantTx&) -> Status { return {}; })));
}

TEST_P(DatabaseTest, CloseFinishesWhatIsQueuedAndRefusesMore) {
  std::latch finished(20);
  std::atomic<int> good = 0;
  for (int i = 0; i < 20; ++i) {
    database_->submit(
        Database::Mode::kWrite, nullptr,
        [i](Connection& connection) -> Status {
          BH_TRY_VOID(connection.execute("INSERT INTO counter (id, value) VALUES ($1, 0)", {i}));
          return {};
        },
        [&](Status outcome) {
          good += outcome ? 1 : 0;
          finished.count_down();
        });
  }
  database_.close();
  finished.wait();
  EXPECT_EQ(good, 20);
  EXPECT_EQ(code_of(count("counter")), ErrorCode::kShuttingDown);
  const auto again = database_.open_again();
  const auto rows = wait(again->system_read([](SystemTx& tx) { return tx.query("SELECT id FROM counter"); }));
  EXPECT_EQ(rows.value().size(), 20U);
}

TEST_P(DatabaseTest, AStatementThatTakesTooLongIsEnded) {
  metrics::Registry registry;
  const Millis limit(100);
  const std::unique_ptr<Database> hasty =
      GetParam() == Engine::kSqlite
          ? open_sqlite({.path = database_.place(), .statement_timeout = limit}, registry).value()
          : open_postgres({.url = database_.place(), .statement_timeout = limit}, registry).value();
  const char* endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
  const char* endless_write =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000000) "
      "INSERT INTO counter (id, value) SELECT i, (SELECT COUNT(*) FROM n) FROM n";
  EXPECT_EQ(code_of(wait(hasty->system_read([=](SystemTx& tx) { return tx.query(endless); }))),
            ErrorCode::kStoreUnavailable);
  EXPECT_EQ(code_of(wait(hasty->system_write([=](SystemTx& tx) { return tx.execute(endless_write); }))),
            ErrorCode::kStoreUnavailable);
  EXPECT_TRUE(wait(
      hasty->system_write([](SystemTx& tx) { return tx.execute("INSERT INTO counter (id, value) VALUES (1, 1)"); })));
}

TEST_P(DatabaseTest, AFullQueueAnswersOverloadedAndALongWaitStoreUnavailable) {
  metrics::Registry registry;
  const Millis patience(50);
  const std::unique_ptr<Database> small =
      GetParam() == Engine::kSqlite
          ? open_sqlite({.path = database_.place(), .queue_limit = 2, .queue_patience = patience}, registry).value()
          : open_postgres({.url = database_.place(), .connections = 1, .queue_limit = 2, .queue_patience = patience},
                          registry)
                .value();
  std::latch started(1);
  std::latch may_end(1);
  std::latch finished(4);
  std::array<ErrorCode, 4> codes{};
  const auto submit = [&](std::size_t index, Database::Work work) {
    small->submit(Database::Mode::kWrite, nullptr, std::move(work), [&, index](Status outcome) {
      codes[index] = code_of(outcome);
      if (index == 1) may_end.count_down();
      finished.count_down();
    });
  };
  submit(0, [&](Connection&) -> Status {
    started.count_down();
    may_end.wait();  // until the next one has run out of patience
    return {};
  });
  started.wait();
  for (std::size_t i = 1; i < 4; ++i) submit(i, [](Connection&) -> Status { return {}; });
  EXPECT_EQ(codes[3], ErrorCode::kOverloaded);
  finished.wait();
  EXPECT_EQ(codes[0], ErrorCode::kCancelled);  // success
  EXPECT_EQ(codes[1], ErrorCode::kStoreUnavailable);
  EXPECT_EQ(codes[2], ErrorCode::kStoreUnavailable);
}

TEST_P(DatabaseTest, CountsTransactions) {
  ASSERT_TRUE(system_execute("INSERT INTO counter (id, value) VALUES (1, 1)"));
  ASSERT_FALSE(system_execute("INSERT INTO counter (id, value) VALUES (1, 1)"));
  const std::string text = database_.registry().render();
  const std::string labels = "{engine=\"" + to_string(GetParam()) + "\",mode=\"write\",outcome=";
  EXPECT_NE(text.find("bulkhead_sql_transactions_total" + labels + "\"committed\"} 1"), std::string::npos) << text;
  EXPECT_NE(text.find("bulkhead_sql_transactions_total" + labels + "\"failed\"} 1"), std::string::npos) << text;
  EXPECT_NE(text.find("bulkhead_sql_waiting{engine=\"" + to_string(GetParam()) + "\"} 0"), std::string::npos) << text;
}

}  // namespace
}  // namespace bulkhead::sql
