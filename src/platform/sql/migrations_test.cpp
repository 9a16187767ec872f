#include "platform/sql/migrations.h"

#include <gtest/gtest.h>

#include <thread>

#include "platform/sql/migration_plan.h"
#include "platform/sql/test_database.h"

namespace bulkhead::sql {
namespace {

const Migration kFirst = migration_file("shop", "0001_items.sql", "CREATE TABLE item (id BIGINT PRIMARY KEY);");
const Migration kSecond = migration_file("shop", "0002_prices.sql",
                                         "ALTER TABLE item ADD COLUMN price BIGINT; CREATE TABLE price (id TEXT);");

TEST(Migrations, FileNamesCarryNumberNameAndEngine) {
  const Migration both = migration_file("access", "0012_key_prefix.sql", "x");
  EXPECT_EQ(both.room, "access");
  EXPECT_EQ(both.number, 12);
  EXPECT_EQ(both.name, "key_prefix");
  EXPECT_EQ(both.engine, "");
  EXPECT_EQ(migration_file("access", "0001_a.sqlite.sql", "").engine, "sqlite");
  EXPECT_EQ(migration_file("access", "0001_a.postgres.sql", "").engine, "postgres");
}

TEST(MigrationsDeathTest, RefuseOtherFileNames) {
  for (const char* name :
       {"1_a.sql", "0001.sql", "0001_.sql", "0000_a.sql", "000a_b.sql", "0001_A.sql", "0001_a.txt"}) {
    EXPECT_DEATH(migration_file("room", name, ""), "assertion failed") << name;
  }
}

TEST(Migrations, MarkersNameTables) {
  const char* text =
      "-- tenant-scoped: item\n-- tenant-readable: price \r\n  -- tenant-scoped: indented\n"
      "CREATE TABLE x (a TEXT);\n-- tenant-scoped:  other";
  EXPECT_EQ(marked_tables(text, "tenant-scoped"), (std::vector<std::string>{"item", "other"}));
  EXPECT_EQ(marked_tables(text, "tenant-readable"), std::vector<std::string>{"price"});
}

class MigrationsTest : public testing::TestWithParam<Engine> {
 protected:
  Result<std::int64_t> applied() {
    return wait(database_->system_read([](SystemTx& tx) -> Result<std::int64_t> {
      BH_TRY(const Row row, tx.query_one("SELECT COUNT(*) FROM schema_migration"));
      return row.integer(0);
    }));
  }
  TestDatabase database_ = open_test_database(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Engines, MigrationsTest, testing::ValuesIn(test_engines()), test_engine_name);

TEST_P(MigrationsTest, ApplyWhatIsMissingOnce) {
  ASSERT_TRUE(database_->migrate({kFirst}));
  ASSERT_TRUE(database_->migrate({kFirst, kSecond}));
  ASSERT_TRUE(database_->migrate({kFirst, kSecond}));
  EXPECT_EQ(applied().value(), 2);
  EXPECT_TRUE(wait(database_->system_write(
      [](SystemTx& tx) { return tx.execute("INSERT INTO item (id, price) VALUES ($1, $2)", {1, 2}); })));
}

TEST_P(MigrationsTest, RefuseTextThatChangedAfterwards) {
  ASSERT_TRUE(database_->migrate({kFirst}));
  Migration changed = kFirst;
  changed.text += " ";
  const Status outcome = database_->migrate({changed, kSecond});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kConflict);
  EXPECT_NE(outcome.error().message.find("shop/1"), std::string::npos);
  EXPECT_EQ(applied().value(), 1);
}

TEST_P(MigrationsTest, ApplyAllOrNone) {
  const Migration broken = migration_file("shop", "0003_broken.sql", "CREATE TABLE half (id TEXT); CREATE NONSENSE;");
  EXPECT_FALSE(database_->migrate({kFirst, kSecond, broken}));
  EXPECT_EQ(applied().value(), 0);
  ASSERT_TRUE(database_->migrate({kFirst, kSecond}));
  EXPECT_EQ(applied().value(), 2);
}

TEST_P(MigrationsTest, SkipTheOtherEngine) {
  const Migration other = migration_file(
      "shop", GetParam() == Engine::kSqlite ? "0001_a.postgres.sql" : "0001_a.sqlite.sql", "NOT FOR THIS ENGINE;");
  ASSERT_TRUE(database_->migrate({other}));
  EXPECT_EQ(applied().value(), 0);
}

TEST_P(MigrationsTest, LeaveMigrationsOfANewerVersionAlone) {
  ASSERT_TRUE(database_->migrate({kFirst, kSecond}));
  EXPECT_TRUE(database_->migrate({kFirst}));
  EXPECT_EQ(applied().value(), 2);
}

TEST_P(MigrationsTest, NodesThatStartTogetherApplyThemOnce) {
  std::vector<Migration> many;
  for (int i = 1; i <= 10; ++i) {
    const std::string number = (i < 10 ? "000" : "00") + std::to_string(i);
    many.push_back(migration_file("shop", number + "_t.sql", "CREATE TABLE t" + std::to_string(i) + " (id TEXT);"));
  }
  std::vector<std::unique_ptr<Database>> nodes;
  for (int i = 0; i < 4; ++i) nodes.push_back(database_.open_again());
  std::vector<Status> outcomes(nodes.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    threads.emplace_back([&, i] { outcomes[i] = nodes[i]->migrate(many); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Status& outcome : outcomes) EXPECT_TRUE(outcome) << outcome.error().to_log_string();
  EXPECT_EQ(applied().value(), 10);
}

}  // namespace
}  // namespace bulkhead::sql
