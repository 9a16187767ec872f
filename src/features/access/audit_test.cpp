#include "features/access/audit.h"

#include <gtest/gtest.h>

#include "features/access/room_testing.h"

namespace bulkhead::access {
namespace {

class AuditTest : public testing::TestWithParam<sql::Engine> {
 protected:
  Status append(const TenantId& tenant, std::string action, json::value after = nullptr) {
    return sql::wait(database_->write(scope(tenant), [&](sql::TenantTx& tx) {
      return append_audit(tx, audit_entry({"key:1", "192.0.2.1", "r-1"}, action, "thing:1", nullptr, after), {1'000},
                          random_);
    }));
  }
  TenantScope scope(const TenantId& tenant) { return TenantScope::for_background_job(tenant, "test"); }
  AuditVerification verify(const TenantId& tenant, const std::optional<AuditHead>& expected = {}) {
    return sql::wait(database_->read(scope(tenant), [&](sql::TenantTx& tx) { return verify_audit(tx, expected); }))
        .value();
  }
  AuditHead head(const TenantId& tenant) {
    return sql::wait(database_->read(scope(tenant), [](sql::TenantTx& tx) { return audit_head(tx); })).value();
  }
  // What somebody with the database's own rights can do, and our code can't.
  void tamper(const std::string& statement, const sql::Values& values = {}) {
    const std::string drop = GetParam() == sql::Engine::kSqlite
                                 ? "DROP TRIGGER IF EXISTS audit_log_no_update"
                                 : "ALTER TABLE audit_log DISABLE TRIGGER audit_log_append_only";
    const auto done = sql::wait(database_->system_write([&](sql::SystemTx& tx) -> Status {
      BH_TRY_VOID(tx.execute(drop));
      if (GetParam() == sql::Engine::kSqlite) {
        BH_TRY_VOID(tx.execute("DROP TRIGGER IF EXISTS audit_log_no_delete"));
      }
      BH_TRY_VOID(tx.execute(statement, values));
      return {};
    }));
    ASSERT_TRUE(done) << done.error().to_log_string();
  }

  SystemRandom source_;
  SharedRandom random_{source_};
  TenantId ours_ = TenantId::v4(random_), theirs_ = TenantId::v4(random_);
  sql::TestDatabase database_ = sql::open_test_database(GetParam(), {access_migrations()});
};

TEST_P(AuditTest, AnUntouchedChainVerifies) {
  EXPECT_EQ(head(ours_), (AuditHead{0, std::string(64, '0')}));
  EXPECT_TRUE(verify(ours_).intact);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(append(ours_, "act." + std::to_string(i)));
  ASSERT_TRUE(append(theirs_, "act"));
  const auto result = verify(ours_);
  EXPECT_TRUE(result.intact) << result.reason;
  EXPECT_EQ(result.head.count, 5);
  EXPECT_EQ(result.head, head(ours_));
  EXPECT_EQ(verify(theirs_).head.count, 1);
}

TEST_P(AuditTest, ARolledBackActLeavesNoRow) {
  ASSERT_TRUE(append(ours_, "first"));
  const auto failed = sql::wait(database_->write(scope(ours_), [&](sql::TenantTx& tx) -> Status {
    BH_TRY_VOID(append_audit(tx, audit_entry({"a", "", ""}, "second", "x"), {1}, random_));
    return fail(ErrorCode::kConflict);
  }));
  EXPECT_FALSE(failed);
  EXPECT_TRUE(verify(ours_).intact);
  EXPECT_EQ(verify(ours_).head.count, 1);
}

TEST_P(AuditTest, RowsCantBeChangedOrRemovedByStatements) {
  ASSERT_TRUE(append(ours_, "act"));
  for (const char* statement : {"UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log"}) {
    EXPECT_FALSE(sql::wait(database_->system_write([&](sql::SystemTx& tx) { return tx.execute(statement); })))
        << statement;
  }
  EXPECT_TRUE(verify(ours_).intact);
  EXPECT_EQ(verify(ours_).head.count, 1);
}

TEST_P(AuditTest, TamperingShows) {
  struct Case {
    const char* name;
    const char* statement;
    std::int64_t broken_at;
    const char* reason;
  };
  const Case cases[] = {
      {"a changed column", "UPDATE audit_log SET actor = 'nobody' WHERE tenant_id = $1 AND seq = 3", 3, "changed"},
      {"a changed document", "UPDATE audit_log SET after_json = '{}' WHERE tenant_id = $1 AND seq = 2", 2, "changed"},
      {"a changed time", "UPDATE audit_log SET at = at + 1 WHERE tenant_id = $1 AND seq = 1", 1, "changed"},
      {"a row taken out", "DELETE FROM audit_log WHERE tenant_id = $1 AND seq = 3", 3, "missing"},
      {"the last row taken out", "DELETE FROM audit_log WHERE tenant_id = $1 AND seq = 5", 5, "missing"},
      {"all taken out", "DELETE FROM audit_log WHERE tenant_id = $1", 1, "missing"},
      {"another link", "UPDATE audit_log SET prev_hash = hash WHERE tenant_id = $1 AND seq = 4", 4, "link"},
      {"another head", "UPDATE audit_head SET hash = 'f' WHERE tenant_id = $1", 5, "head"},
  };
  for (const Case& c : cases) {
    ours_ = TenantId::v4(random_);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(append(ours_, "act", {{"n", i}}));
    tamper(c.statement, {ours_});
    const auto result = verify(ours_);
    EXPECT_FALSE(result.intact) << c.name;
    EXPECT_EQ(result.broken_at, c.broken_at) << c.name;
    EXPECT_EQ(result.reason, c.reason) << c.name;
  }
}

// Whoever can write the tables can rewrite the chain and its head consistently; a head noted before tells.
TEST_P(AuditTest, ARewrittenChainShowsAgainstANotedHead) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(append(ours_, "act"));
  const AuditHead noted = head(ours_);
  ASSERT_TRUE(append(ours_, "act"));
  EXPECT_TRUE(verify(ours_, noted).intact);
  tamper("DELETE FROM audit_log");
  tamper("DELETE FROM audit_head");
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(append(ours_, "forged"));
  EXPECT_TRUE(verify(ours_).intact);
  const auto result = verify(ours_, noted);
  EXPECT_FALSE(result.intact);
  EXPECT_EQ(result.reason, "rewritten");
}

TEST_P(AuditTest, ListsNewestFirstInPages) {
  for (int i = 1; i <= 5; ++i) ASSERT_TRUE(append(ours_, "act." + std::to_string(i)));
  const auto page = [&](std::optional<std::int64_t> before) {
    return sql::wait(database_->read(scope(ours_), [&](sql::TenantTx& tx) { return list_audit(tx, before, 2); }))
        .value();
  };
  EXPECT_EQ(page({})[0].action, "act.5");
  EXPECT_EQ(page({})[1].seq, 4);
  EXPECT_EQ(page(4)[0].seq, 3);
  EXPECT_EQ(page(2).size(), 1U);
  EXPECT_TRUE(page(1).empty());
}

TEST_P(AuditTest, SecretsInDocumentsAreRedacted) {
  ASSERT_TRUE(append(ours_, "act", {{"name", "x"}, {"password", "hunter2"}, {"note", "bh_key_abc"}}));
  const auto rows =
      sql::wait(database_->read(scope(ours_), [](sql::TenantTx& tx) { return list_audit(tx, {}, 10); })).value();
  EXPECT_EQ(rows[0].after, R"({"name":"x","note":"[redacted]","password":"[redacted]"})");
}

TEST_P(AuditTest, ThePlatformHasAChainOfItsOwn) {
  const auto done = sql::wait(database_->system_write([&](sql::SystemTx& tx) -> Status {
    for (int i = 0; i < 3; ++i) {
      BH_TRY_VOID(append_platform_audit(tx, audit_entry({"platform_admin", "", ""}, "x", "y"), {1}, random_));
    }
    return {};
  }));
  ASSERT_TRUE(done) << done.error().to_log_string();
  const auto result =
      sql::wait(database_->system_read([](sql::SystemTx& tx) { return verify_platform_audit(tx); })).value();
  EXPECT_TRUE(result.intact);
  EXPECT_EQ(result.head.count, 3);
}

// Many writers at once, from several threads: the head's lock keeps the chain one chain.
TEST_P(AuditTest, ConcurrentAppendsMakeOneChain) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) EXPECT_TRUE(append(ours_, "act"));
    });
  }
  for (auto& thread : threads) thread.join();
  const auto result = verify(ours_);
  EXPECT_TRUE(result.intact) << result.reason << " at " << result.broken_at;
  EXPECT_EQ(result.head.count, 100);
}

INSTANTIATE_TEST_SUITE_P(Engines, AuditTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

}  // namespace
}  // namespace bulkhead::access
