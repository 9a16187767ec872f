#include "features/executions/journal.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace bulkhead::executions {
namespace {

class JournalTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/journal-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Journal> open(std::size_t max_segments = 4, Bytes segment = 64_KiB) {
    auto journal = Journal::open(
        {.directory = directory_, .name = "core0", .segment_size = segment, .max_segments = max_segments});
    EXPECT_TRUE(journal.has_value());
    return std::move(*journal);
  }
  ExecutionStart start() {
    ExecutionStart start;
    start.id = ExecutionId::v7({1'700'000'000'000'000}, random_);
    start.tenant_id = TenantId::v4(random_);
    start.install_id = InstallId::v4(random_);
    start.extension_id = ExtensionId::v4(random_);
    start.version_id = VersionId::v7({1'700'000'000'000'000}, random_);
    start.started_at = {1'700'000'000'000'000};
    start.request_id = "req-1";
    start.trace_id = "0af7651916cd43dd8448eb211c80319c";
    start.method = "GET";
    start.path = "/agreements/7";
    return start;
  }
  static ExecutionEnd end_of(const ExecutionStart& start, std::string logs = "") {
    ExecutionEnd end;
    end.id = start.id;
    end.http_status = 201;
    end.ended_at = start.started_at + Micros(1500);
    end.cpu_us = 900;
    end.logs_json = std::move(logs);
    return end;
  }
  Journal::Recovered recover() {
    auto recovered = Journal::recover(directory_);
    EXPECT_TRUE(recovered.has_value());
    return std::move(*recovered);
  }

  std::string directory_;
  SeededRandom random_{1};
};

TEST_F(JournalTest, RecoversFinishedAndUnfinishedExecutionsWithAllTheirFields) {
  const auto first = start(), second = start();
  {
    auto journal = open();
    ASSERT_TRUE(journal->append_start(first).has_value());
    ASSERT_TRUE(journal->append_start(second).has_value());
    ASSERT_TRUE(journal->append_end(end_of(first, "[{\"text\":\"hi\"}]")).has_value());
  }
  const auto recovered = recover();
  ASSERT_EQ(recovered.finished.size(), 1U);
  ASSERT_EQ(recovered.unfinished.size(), 1U);
  const Execution& execution = recovered.finished[0];
  EXPECT_EQ(execution.start.id, first.id);
  EXPECT_EQ(execution.start.tenant_id, first.tenant_id);
  EXPECT_EQ(execution.start.path, "/agreements/7");
  EXPECT_EQ(execution.end.http_status, 201);
  EXPECT_EQ(execution.end.cpu_us, 900U);
  EXPECT_EQ(execution.end.logs_json, "[{\"text\":\"hi\"}]");
  EXPECT_EQ(recovered.unfinished[0].id, second.id);
}

TEST_F(JournalTest, ASegmentIsDeletedOnlyWhenAllItHoldsIsSettled) {
  auto journal = open();
  std::vector<ExecutionStart> starts;
  while (journal->segment_count() < 3) {
    starts.push_back(start());
    ASSERT_TRUE(journal->append_start(starts.back()).has_value());
    ASSERT_TRUE(journal->append_end(end_of(starts.back(), std::string(2000, 'x'))).has_value());
  }
  for (std::size_t i = 1; i < starts.size(); ++i) journal->settled(starts[i].id);
  EXPECT_EQ(journal->segment_count(), 2U) << "the first segment still holds starts[0]";
  journal->settled(starts[0].id);
  EXPECT_EQ(journal->segment_count(), 1U);
}

TEST_F(JournalTest, RefusesStartsWhenFullButTakesTheEndsOfWhatRuns) {
  auto journal = open(1, 32_KiB);
  std::vector<ExecutionStart> running;
  Status appended;
  do {
    running.push_back(start());
    appended = journal->append_start(running.back());
  } while (appended.has_value());
  EXPECT_TRUE(appended.error().code == ErrorCode::kStoreUnavailable || appended.error().code == ErrorCode::kOverloaded);
  running.pop_back();
  ASSERT_GT(running.size(), 10U);
  for (const auto& one : running) {
    ASSERT_TRUE(journal->append_end(end_of(one, std::string(4000, 'x'))).has_value());
  }
  journal.reset();
  EXPECT_EQ(recover().finished.size(), running.size());
}

TEST_F(JournalTest, LeavesNothingBehindWhenAllIsSettled) {
  auto journal = open();
  const auto one = start();
  ASSERT_TRUE(journal->append_start(one).has_value());
  ASSERT_TRUE(journal->append_end(end_of(one)).has_value());
  journal->settled(one.id);
  journal.reset();
  EXPECT_TRUE(recover().files.empty());
}

TEST_F(JournalTest, ATornRecordEndsTheTrailWithoutHarm) {
  const auto first = start(), second = start();
  {
    auto journal = open();
    ASSERT_TRUE(journal->append_start(first).has_value());
    ASSERT_TRUE(journal->append_start(second).has_value());
  }
  const std::string file = recover().files.at(0);
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(8 + 8 + 40);  // inside the first record's payload
  stream.put('\x7f');
  stream.close();
  const auto recovered = recover();
  EXPECT_TRUE(recovered.finished.empty());
  EXPECT_TRUE(recovered.unfinished.empty());
}

TEST_F(JournalTest, SurvivesKillNineAtAnyMoment) {
  int acknowledged[2];
  ASSERT_EQ(::pipe(acknowledged), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto journal = open(1000, 16_KiB);
    for (;;) {
      const auto one = start();
      if (!journal->append_start(one) || !journal->append_end(end_of(one))) ::_exit(1);
      if (::write(acknowledged[1], "x", 1) != 1) ::_exit(1);
    }
  }
  ::close(acknowledged[1]);
  std::size_t count = 0;
  char byte = 0;
  while (count < 500 && ::read(acknowledged[0], &byte, 1) == 1) ++count;
  ::kill(child, SIGKILL);
  while (::read(acknowledged[0], &byte, 1) == 1) ++count;
  ::close(acknowledged[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_GE(recover().finished.size(), count);
}

}  // namespace
}  // namespace bulkhead::executions
