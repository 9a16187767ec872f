// Row-level security on a real server: what a tenant's transaction can't do even when our own SQL is wrong.
#include <gtest/gtest.h>

#include "platform/sql/test_database.h"
#include "platform/sql/test_postgres.h"

namespace bulkhead::sql {
namespace {

const Migration kSchema = migration_file("shop", "0001_shop.sql", R"(
-- tenant-scoped: item
-- tenant-readable: catalogue
CREATE TABLE item (tenant_id TEXT NOT NULL, id BIGINT NOT NULL, name TEXT, PRIMARY KEY (tenant_id, id));
CREATE TABLE catalogue (id BIGINT PRIMARY KEY, name TEXT);
CREATE TABLE secret (id BIGINT PRIMARY KEY);
INSERT INTO catalogue (id, name) VALUES (1, 'one');
INSERT INTO secret (id) VALUES (1);
)");

TenantScope new_scope() {
  SystemRandom random;
  return TenantScope::for_background_job(TenantId::v4(random), "test");
}

class TenantIsolationTest : public testing::Test {
 protected:
  void SetUp() override {
    database_.emplace(open_test_database(Engine::kPostgres, {{kSchema}}));
    for (const TenantScope& scope : {alice_, bob_}) {
      ASSERT_TRUE(wait((*database_)->write(scope, [](TenantTx& tx) {
        return tx.execute("INSERT INTO item (tenant_id, id, name) VALUES ($1, 1, 'mine')");
      })));
    }
  }
  Result<std::int64_t> as_alice(std::string statement, Values values = {}) {
    return wait((*database_)->write(alice_, [=](TenantTx& tx) { return tx.execute(statement, values); }));
  }
  Result<Rows> alice_reads(std::string statement, Values values = {}) {
    return wait((*database_)->read(alice_, [=](TenantTx& tx) { return tx.query(statement, values); }));
  }

  std::optional<TestDatabase> database_;
  const TenantScope alice_ = new_scope();
  const TenantScope bob_ = new_scope();
};

TEST_F(TenantIsolationTest, AWrongWhereSeesOwnRowsOnly) {
  const Rows rows = alice_reads("SELECT tenant_id FROM item WHERE tenant_id = $1 OR TRUE").value();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].id<TenantId>(0), alice_.tenant());
  EXPECT_TRUE(alice_reads("SELECT id FROM item WHERE tenant_id = $2 AND $1 <> ''", {bob_.tenant()}).value().empty());
}

TEST_F(TenantIsolationTest, ChangesReachOwnRowsOnly) {
  EXPECT_EQ(as_alice("UPDATE item SET name = $1 WHERE TRUE").value(), 1);
  EXPECT_EQ(as_alice("DELETE FROM item WHERE tenant_id <> $1").value(), 0);
  const Row row = wait((*database_)->read(bob_, [](TenantTx& tx) {
                    return tx.query_one("SELECT name FROM item WHERE tenant_id = $1");
                  })).value();
  EXPECT_EQ(row.text(0), "mine");
}

TEST_F(TenantIsolationTest, RowsOfAnotherTenantCanNotBeInsertedOrGivenAway) {
  EXPECT_FALSE(as_alice("INSERT INTO item (tenant_id, id) SELECT $2, 9 WHERE $1 <> ''", {bob_.tenant()}));
  EXPECT_FALSE(as_alice("UPDATE item SET tenant_id = $2 WHERE tenant_id = $1", {bob_.tenant()}));
  const Rows rows =
      wait((*database_)->system_read([](SystemTx& tx) { return tx.query("SELECT id FROM item"); })).value();
  EXPECT_EQ(rows.size(), 2U);
}

TEST_F(TenantIsolationTest, OnlyMarkedTablesAreWithinReach) {
  EXPECT_EQ(alice_reads("SELECT name FROM catalogue WHERE $1 <> ''").value().size(), 1U);
  EXPECT_FALSE(as_alice("UPDATE catalogue SET name = $1"));
  EXPECT_FALSE(alice_reads("SELECT id FROM secret WHERE $1 <> ''"));
  EXPECT_FALSE(alice_reads("SELECT room FROM schema_migration WHERE $1 <> ''"));
  EXPECT_FALSE(as_alice("CREATE TABLE mine AS SELECT $1 AS id"));
}

// The role and the setting last for one transaction: the next one on the same connection starts without them.
TEST_F(TenantIsolationTest, NothingOfATenantStaysOnTheConnection) {
  metrics::Registry registry;
  const auto one = open_postgres({.url = database_->place(), .connections = 1}, registry).value();
  const auto who = [&] {
    return wait(one->system_read([](SystemTx& tx) {
             return tx.query_one("SELECT current_user, COALESCE(current_setting('bulkhead.tenant', true), '')");
           }))
        .value();
  };
  const auto run_as_alice = [&](bool good) {
    return wait(one->write(alice_, [good](TenantTx& tx) -> Status {
      BH_TRY(const Row row, tx.query_one("SELECT current_user, current_setting('bulkhead.tenant', true) = $1"));
      EXPECT_EQ(row.text(0), "bulkhead_tenant");
      EXPECT_TRUE(row.boolean(1));
      if (!good) return fail(ErrorCode::kConflict);
      return {};
    }));
  };
  EXPECT_TRUE(run_as_alice(true));
  EXPECT_EQ(who().text(0), "bulkhead");
  EXPECT_EQ(who().text(1), "");
  EXPECT_FALSE(run_as_alice(false));
  EXPECT_EQ(who().text(0), "bulkhead");
  EXPECT_EQ(who().text(1), "");
}

TEST_F(TenantIsolationTest, ARoleThatCouldGetAroundThePoliciesIsRefused) {
  shared_postgres().execute_as_superuser("postgres", "ALTER ROLE bulkhead_tenant BYPASSRLS");
  const Status refused = (*database_)->migrate({kSchema});
  shared_postgres().execute_as_superuser("postgres", "ALTER ROLE bulkhead_tenant NOBYPASSRLS");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kDatabaseNotPrepared);
  EXPECT_TRUE((*database_)->migrate({kSchema}));
}

TEST(TenantRole, AUserWhoMayNotPrepareTheDatabaseIsToldWhatASuperuserRuns) {
  TestPostgres server;  // of its own: roles belong to the whole server
  const std::string name = server.create_database();
  server.execute_as_superuser("postgres",
                              "ALTER ROLE bulkhead NOCREATEROLE; ALTER DATABASE " + name + " OWNER TO postgres");
  metrics::Registry registry;
  const auto database = open_postgres({.url = server.url(name), .connections = 1}, registry).value();
  const auto refused = [&] {
    const Status migrated = database->migrate({kSchema});
    EXPECT_FALSE(migrated);
    EXPECT_EQ(migrated.error().code, ErrorCode::kDatabaseNotPrepared);
    const std::size_t at = migrated.error().message.find("As a superuser run: ");
    return migrated.error().message.substr(at + std::string_view("As a superuser run: ").size());
  };
  const std::string owner = refused();
  EXPECT_EQ(owner, "ALTER DATABASE \"" + name + "\" OWNER TO \"bulkhead\";");
  server.execute_as_superuser(name, owner);
  const std::string both = refused();
  EXPECT_EQ(both, "CREATE ROLE bulkhead_tenant NOLOGIN; GRANT bulkhead_tenant TO \"bulkhead\";");
  server.execute_as_superuser("postgres", "CREATE ROLE bulkhead_tenant NOLOGIN");
  const std::string one = refused();
  EXPECT_EQ(one, "GRANT bulkhead_tenant TO \"bulkhead\";");
  server.execute_as_superuser("postgres", one);
  EXPECT_TRUE(database->migrate({kSchema}));
}

}  // namespace
}  // namespace bulkhead::sql
