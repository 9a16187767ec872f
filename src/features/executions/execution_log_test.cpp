#include "features/executions/execution_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>

#include "features/executions/execution_store.h"
#include "platform/sql/test_database.h"

namespace bulkhead {
std::vector<sql::Migration> executions_migrations();
}

namespace bulkhead::executions {
namespace {

constexpr UtcMicros kNoon{1'700'000'000'000'000};

class ExecutionStoreTest : public testing::TestWithParam<sql::Engine> {
 protected:
  Execution execution(UtcMicros started = kNoon) {
    Execution one;
    one.start.id = ExecutionId::v7(started, random_);
    one.start.tenant_id = tenant_;
    one.start.install_id = install_;
    one.start.extension_id = ExtensionId::v4(random_);
    one.start.version_id = VersionId::v7(started, random_);
    one.start.started_at = started;
    one.start.request_id = "req-" + one.start.id.to_string();
    one.start.method = "GET";
    one.start.path = "/orders/7";
    one.end.id = one.start.id;
    one.end.ended_at = started + Micros(2'000);
    one.end.cpu_us = 500;
    one.end.memory_bytes = 1024 * 1024;
    return one;
  }
  Result<std::int64_t> offer(const std::vector<Execution>& executions, Offered offered) {
    return sql::wait(
        database_->system_write([&](sql::SystemTx& tx) { return record_executions(tx, executions, offered); }));
  }
  std::int64_t record(const std::vector<Execution>& executions) { return *offer(executions, Offered::kPerhapsBefore); }
  std::vector<Execution> list(ExecutionFilter filter = {}) {
    return *sql::wait(
        database_->read(scope_, [&](sql::TenantTx& tx) { return list_executions(tx, install_, filter); }));
  }
  std::vector<UsageWindow> usage() {
    return *sql::wait(
        database_->read(scope_, [&](sql::TenantTx& tx) { return list_usage(tx, install_, UtcMicros{0}, 10); }));
  }

  sql::TestDatabase database_ = sql::open_test_database(GetParam(), {executions_migrations()});
  SeededRandom random_{7};
  TenantId tenant_ = TenantId::v4(random_);
  InstallId install_ = InstallId::v4(random_);
  TenantScope scope_ = TenantScope::for_background_job(tenant_, "test");
};

TEST_P(ExecutionStoreTest, KeepsEveryFieldAndReplacesWhatSqlCannotHold) {
  Execution one = execution();
  one.end.status = ExecutionStatus::kOom;
  one.end.error_code = "memory_exceeded";
  one.end.error_message = std::string("bad \xFF and nul \0 in it", 18);
  one.end.logs_json = R"([{"text":"hi"}])";
  EXPECT_EQ(record({one}), 1);
  const auto found = list();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].start.id, one.start.id);
  EXPECT_EQ(found[0].start.path, "/orders/7");
  EXPECT_EQ(found[0].end.status, ExecutionStatus::kOom);
  EXPECT_EQ(found[0].end.error_code, "memory_exceeded");
  EXPECT_EQ(found[0].end.error_message, "bad \xEF\xBF\xBD and nul \xEF\xBF\xBD in");
  EXPECT_EQ(found[0].end.logs_json, R"([{"text":"hi"}])");
  EXPECT_EQ(found[0].end.ended_at, one.end.ended_at);
}

TEST_P(ExecutionStoreTest, AReplayAddsNeitherRowsNorUsageTwice) {
  std::vector<Execution> batch;
  for (int i = 0; i < 100; ++i) batch.push_back(execution());
  EXPECT_EQ(record({batch.begin(), batch.begin() + 60}), 60);
  EXPECT_EQ(record(batch), 40);
  EXPECT_EQ(record(batch), 0);
  const auto windows = usage();
  ASSERT_EQ(windows.size(), 1U);
  EXPECT_EQ(windows[0].invocations, 100);
  EXPECT_NEAR(windows[0].cpu_ms, 50.0, 1e-6);
  EXPECT_NEAR(windows[0].mem_mb_ms, 200.0, 1e-6);
}

TEST_P(ExecutionStoreTest, WhatIsOfferedOnceIsWrittenWholeOrNotAtAll) {
  std::vector<Execution> batch;
  for (int i = 0; i < 100; ++i) batch.push_back(execution());
  EXPECT_EQ(*offer({batch.begin(), batch.begin() + 60}, Offered::kOnce), 60);
  const auto again = offer(batch, Offered::kOnce);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(usage().at(0).invocations, 60);
  EXPECT_EQ(*offer(batch, Offered::kPerhapsBefore), 40);
  EXPECT_EQ(usage().at(0).invocations, 100);
}

TEST_P(ExecutionStoreTest, PagesNewestFirstWithoutGapsOrRepeats) {
  std::vector<Execution> batch;
  for (int i = 0; i < 25; ++i) batch.push_back(execution(kNoon + Micros(i / 3)));  // three at a time end together
  record(batch);
  std::vector<ExecutionId> seen;
  ExecutionFilter filter;
  filter.limit = 4;
  while (true) {
    const auto page = list(filter);
    for (const auto& one : page) seen.push_back(one.start.id);
    if (page.size() < 4) break;
    filter.ended_before = page.back().end.ended_at;
    filter.before_id = page.back().start.id;
  }
  EXPECT_EQ(seen.size(), 25U);
  std::ranges::sort(seen);
  EXPECT_EQ(std::ranges::adjacent_find(seen), seen.end());
}

TEST_P(ExecutionStoreTest, AnotherTenantSeesNothing) {
  record({execution()});
  const auto other = TenantScope::for_background_job(TenantId::v4(random_), "test");
  const auto rows = sql::wait(
      database_->read(other, [&](sql::TenantTx& tx) { return list_executions(tx, install_, ExecutionFilter{}); }));
  EXPECT_TRUE(rows->empty());
}

TEST_P(ExecutionStoreTest, ForgetsWhatStartedBeforeTheCutoff) {
  record({execution(kNoon - std::chrono::hours(48)), execution(kNoon)});
  const auto removed = sql::wait(database_->system_write(
      [&](sql::SystemTx& tx) { return forget_executions(tx, kNoon - std::chrono::hours(24), 100); }));
  EXPECT_EQ(*removed, 1);
  EXPECT_EQ(list().size(), 1U);
}

class ExecutionLogTest : public ExecutionStoreTest {
 protected:
  std::unique_ptr<ExecutionLog> open(Cores& cores) {
    auto log = ExecutionLog::open(cores, *database_, clock_, {.directory = folder_.path().string()}, registry_);
    EXPECT_TRUE(log.has_value());
    return std::move(*log);
  }
  sql::TestFolder folder_;
  SystemClock clock_;
  metrics::Registry registry_;
};

TEST_P(ExecutionLogTest, WritesWhatFinishedAndReplaysWhatACrashLeft) {
  const Execution finished = execution(), crashed = execution();
  {
    Cores cores(1);
    auto log = open(cores);
    ASSERT_TRUE(log->at(0).begin(finished.start).has_value());
    log->at(0).finish(finished);
    ASSERT_TRUE(log->at(0).begin(crashed.start).has_value());
    // No flusher ran: this process "dies" here.
  }
  EXPECT_TRUE(list().empty());
  Cores cores(1);
  const auto log = open(cores);
  const auto rows = list();
  ASSERT_EQ(rows.size(), 2U);
  for (const Execution& row : rows) {
    const bool unknown = row.start.id == crashed.start.id;
    EXPECT_EQ(row.end.error_code, unknown ? "outcome_unknown" : "");
    EXPECT_EQ(row.end.status, unknown ? ExecutionStatus::kUpstreamError : ExecutionStatus::kOk);
  }
}

TEST_P(ExecutionLogTest, TheFlusherEmptiesTheJournal) {
  Cores cores(1);
  auto log = open(cores);
  cores.start();
  log->start(cores);
  std::promise<void> stopped;
  cores.spawn(0, [&]() -> Task<> {
    for (int i = 0; i < 1000; ++i) {
      const Execution one = execution();
      BH_ASSERT(log->at(0).begin(one.start).has_value());
      log->at(0).finish(one);
    }
    co_await log->stop(Millis(20'000));
    stopped.set_value();
  });
  stopped.get_future().wait();
  cores.stop();
  ExecutionFilter filter;
  filter.limit = 2000;
  EXPECT_EQ(list(filter).size(), 1000U);
  EXPECT_EQ(usage().at(0).invocations, 1000);
}

INSTANTIATE_TEST_SUITE_P(Engines, ExecutionStoreTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);
INSTANTIATE_TEST_SUITE_P(Engines, ExecutionLogTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);

}  // namespace
}  // namespace bulkhead::executions
