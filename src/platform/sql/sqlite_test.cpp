// What is special about the SQLite engine: group commit, crashes, full disks.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <latch>
#include <thread>

#include "platform/sql/sqlite_connection.h"
#include "platform/sql/test_database.h"

namespace bulkhead::sql {
namespace {

const Migration kSchema = migration_file("t", "0001_t.sql", R"(
CREATE TABLE item (id BIGINT PRIMARY KEY, text TEXT);
CREATE TABLE part (id BIGINT PRIMARY KEY, item_id BIGINT REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED);
)");

ErrorCode code_of(const auto& result) { return result ? ErrorCode::kCancelled : result.error().code; }

Status insert(Connection& connection, std::int64_t id) {
  BH_TRY_VOID(connection.execute("INSERT INTO item (id) VALUES ($1)", {id}));
  return {};
}

std::vector<std::int64_t> ids_in(Database& database) {
  const Rows rows =
      wait(database.system_read([](SystemTx& tx) { return tx.query("SELECT id FROM item ORDER BY id"); })).value();
  std::vector<std::int64_t> ids;
  for (const Row& row : rows) ids.push_back(row.integer(0));
  return ids;
}

class SqliteTest : public testing::Test {
 protected:
  // Holds the writer in a transaction until `release`, so that what is submitted meanwhile becomes one group.
  void hold_writer() {
    database_->submit(
        Database::Mode::kWrite, nullptr,
        [this](Connection&) -> Status {
          held_.count_down();
          release_.wait();
          return fail(ErrorCode::kCancelled);  // ends its own savepoint only
        },
        [](Status) {});
    held_.wait();
  }
  metrics::Counter& commits() {
    return database_.registry().counter("bulkhead_sql_commits_total", "", {{"engine", "sqlite"}});
  }

  TestDatabase database_ = open_test_database(Engine::kSqlite, {{kSchema}});
  std::latch held_{1};
  std::latch release_{1};
};

TEST_F(SqliteTest, ManyWritesShareOneCommit) {
  constexpr int kWrites = 200;
  std::latch finished(kWrites);
  std::atomic<int> good = 0;
  hold_writer();
  for (int i = 0; i < kWrites; ++i) {
    database_->submit(
        Database::Mode::kWrite, nullptr, [i](Connection& connection) { return insert(connection, i); },
        [&](Status outcome) {
          good += outcome ? 1 : 0;
          finished.count_down();
        });
  }
  release_.count_down();
  finished.wait();
  EXPECT_EQ(good, kWrites);
  EXPECT_LE(commits().value(), 5U);  // a group may end early, by its time limit
  EXPECT_EQ(ids_in(*database_).size(), static_cast<std::size_t>(kWrites));
}

TEST_F(SqliteTest, AWriteThatFailsDoesNotTouchItsNeighbours) {
  constexpr int kWrites = 90;
  std::vector<ErrorCode> codes(kWrites);
  std::latch finished(kWrites);
  hold_writer();
  for (int i = 0; i < kWrites; ++i) {
    database_->submit(
        Database::Mode::kWrite, nullptr,
        [i](Connection& connection) -> Status {
          BH_TRY_VOID(insert(connection, i));
          if (i % 3 == 1) return insert(connection, i);  // a duplicate
          if (i % 3 == 2) {                              // a reference that a COMMIT would find, too late
            BH_TRY_VOID(connection.execute("INSERT INTO part (id, item_id) VALUES ($1, -1)", {i}));
          }
          return {};
        },
        [&, i](Status outcome) {
          codes[static_cast<std::size_t>(i)] = code_of(outcome);
          finished.count_down();
        });
  }
  release_.count_down();
  finished.wait();
  std::vector<std::int64_t> expected;
  for (int i = 0; i < kWrites; ++i) {
    const ErrorCode wanted = i % 3 == 0   ? ErrorCode::kCancelled  // none
                             : i % 3 == 1 ? ErrorCode::kAlreadyExists
                                          : ErrorCode::kConflict;
    EXPECT_EQ(codes[static_cast<std::size_t>(i)], wanted) << i;
    if (i % 3 == 0) expected.push_back(i);
  }
  EXPECT_EQ(ids_in(*database_), expected);
}

// An interrupted write makes SQLite roll the whole group back; its neighbours run again.
TEST_F(SqliteTest, AWriteThatTakesTooLongDoesNotTouchItsNeighbours) {
  metrics::Registry registry;
  const auto hasty = open_sqlite({.path = database_.place(), .statement_timeout = Millis(100)}, registry).value();
  std::array<ErrorCode, 3> codes{};
  std::latch finished(3);
  std::latch held(1);
  std::latch release(1);
  hasty->submit(
      Database::Mode::kWrite, nullptr,
      [&](Connection& connection) -> Status {
        if (!held.try_wait()) held.count_down();
        release.wait();
        return insert(connection, 1);
      },
      [&](Status outcome) {
        codes[0] = code_of(outcome);
        finished.count_down();
      });
  held.wait();
  hasty->submit(
      Database::Mode::kWrite, nullptr,
      [](Connection& connection) -> Status {
        BH_TRY_VOID(connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n) INSERT INTO item (id) SELECT i FROM n",
            {}));
        return {};
      },
      [&](Status outcome) {
        codes[1] = code_of(outcome);
        finished.count_down();
      });
  hasty->submit(
      Database::Mode::kWrite, nullptr, [](Connection& connection) { return insert(connection, 3); },
      [&](Status outcome) {
        codes[2] = code_of(outcome);
        finished.count_down();
      });
  release.count_down();
  finished.wait();
  EXPECT_EQ(codes[0], ErrorCode::kCancelled);
  EXPECT_EQ(codes[1], ErrorCode::kStoreUnavailable);
  EXPECT_EQ(codes[2], ErrorCode::kCancelled);
  EXPECT_EQ(ids_in(*hasty), (std::vector<std::int64_t>{1, 3}));
}

TEST_F(SqliteTest, TheFileIsPrivateAndTheSettingsAreDurable) {
  ASSERT_TRUE(wait(database_->system_write([](SystemTx& tx) { return tx.execute("DELETE FROM item"); })));
  for (const char* suffix : {"", "-wal", "-shm"}) {
    const auto mode = std::filesystem::status(database_.place() + suffix).permissions();
    EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write) << suffix;
  }
  const auto connection =
      SqliteConnection::open({.path = database_.place()}, SqliteConnection::Access::kWriter).value();
  EXPECT_EQ(connection->query("PRAGMA journal_mode", {}).value()[0].text(0), "wal");
  EXPECT_EQ(connection->query("PRAGMA synchronous", {}).value()[0].integer(0), 2);  // FULL
  EXPECT_EQ(connection->query("PRAGMA foreign_keys", {}).value()[0].integer(0), 1);
}

// POSIX locks of this process on a file, as the kernel lists them.
int locks_held_on(const std::string& path) {
  struct stat file{};
  BH_ASSERT(::stat(path.c_str(), &file) == 0);
  const std::string inode = ":" + std::to_string(file.st_ino) + " ";
  const std::string process = " " + std::to_string(::getpid()) + " ";
  std::ifstream locks("/proc/locks");
  int found = 0;
  for (std::string line; std::getline(locks, line);) {
    if (line.contains("POSIX") && line.contains(inode) && line.contains(process)) ++found;
  }
  return found;
}

// Without it, another program that looks into the database and goes would take the WAL with it.
TEST_F(SqliteTest, KeepsItsLockOnTheFileWhileFurtherConnectionsOpenAndClose) {
  ASSERT_TRUE(wait(database_->system_write([](SystemTx& tx) { return tx.execute("DELETE FROM item"); })));
  EXPECT_GT(locks_held_on(database_.place()), 0);
  const auto again = database_.open_again();
  ASSERT_TRUE(wait(again->system_read([](SystemTx& tx) { return tx.query("SELECT 1"); })));
  EXPECT_GT(locks_held_on(database_.place()), 0);
}

TEST_F(SqliteTest, ALockOfAnotherProcessIsWaitedForAndThenStoreUnavailable) {
  metrics::Registry registry;
  const auto impatient = open_sqlite({.path = database_.place(), .busy_timeout = Millis(50)}, registry).value();
  const auto write = [&] {
    return impatient->system_write_blocking([](SystemTx& tx) { return tx.execute("DELETE FROM item"); });
  };
  hold_writer();
  EXPECT_EQ(code_of(write()), ErrorCode::kStoreUnavailable);
  release_.count_down();
  ASSERT_TRUE(wait(database_->system_write([](SystemTx& tx) { return tx.execute("DELETE FROM item"); })));
  EXPECT_TRUE(write());
}

// Each read ends only after the next one has begun: there is always somebody who reads.
TEST_F(SqliteTest, TheLogStaysBoundedWhenReadersAlwaysOverlap) {
  std::atomic<bool> stop = false;
  std::atomic<int> begun = 0;
  const auto read_on = [&] {
    while (!stop) {
      EXPECT_TRUE(wait(database_->system_read([&](SystemTx& tx) -> Status {
        BH_TRY_VOID(tx.query("SELECT COUNT(*) FROM item"));
        const int mine = ++begun;
        while (begun == mine && !stop) std::this_thread::yield();
        return {};
      })));
    }
  };
  std::thread first(read_on);
  std::thread second(read_on);
  std::uintmax_t largest = 0;
  for (std::int64_t id = 0; id < 1'100; ++id) {
    ASSERT_TRUE(wait(database_->system_write([id](SystemTx& tx) {
      return tx.execute("INSERT INTO item (id, text) VALUES ($1, $2)", {id, std::string(100'000, 'x')});
    })));
    largest = std::max(largest, std::filesystem::file_size(database_.place() + "-wal"));
  }
  stop = true;
  first.join();
  second.join();
  EXPECT_LT(largest, 80'000'000U);  // 110 MB were written
}

TEST(SqliteOpen, AMissingFolderIsAnErrorAtOnce) {
  metrics::Registry registry;
  EXPECT_EQ(code_of(open_sqlite({.path = "/nonexistent/folder/x.db"}, registry)), ErrorCode::kStoreUnavailable);
}

TEST(SqliteOpen, AFileThatIsNoDatabaseIsRefused) {
  const TestFolder folder;
  const std::string path = folder.path() / "x.db";
  std::ofstream(path) << std::string(8192, 'x');
  metrics::Registry registry;
  EXPECT_EQ(code_of(open_sqlite({.path = path}, registry)), ErrorCode::kStoreUnavailable);
}

// Without threads, which a death test's fork would not take along.
TEST(TenantTxDeathTest, AStatementThatDoesNotUseTheTenantIsABug) {
  const TestFolder folder;
  const auto connection =
      SqliteConnection::open({.path = folder.path() / "x.db"}, SqliteConnection::Access::kWriter).value();
  SystemRandom random;
  TenantTx tx(*connection, TenantScope::for_background_job(TenantId::v4(random), "test"));
  EXPECT_DEATH((void)tx.query("SELECT 1"), "uses_tenant");
  EXPECT_DEATH((void)tx.execute("SELECT $2", {1}), "uses_tenant");
  EXPECT_TRUE(tx.query("SELECT $1, $2", {1}));
}

// --- crashes -----------------------------------------------------------------------------------------------------

// In a child process: writes for ever with many threads and tells of every acknowledged row through `acknowledged`.
[[noreturn]] void write_until_killed(const std::string& path, int acknowledged, std::int64_t first_id) {
  metrics::Registry registry;
  const auto database = open_sqlite({.path = path}, registry).value();
  std::atomic<std::int64_t> next = first_id;
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i) {
    writers.emplace_back([&] {
      while (true) {
        const std::int64_t id = next++;
        const auto outcome = database->system_write_blocking([id](SystemTx& tx) {
          return tx.execute("INSERT INTO item (id, text) VALUES ($1, $2)", {id, std::string(300, 'x')});
        });
        if (!outcome || ::write(acknowledged, &id, sizeof id) != sizeof id) ::_exit(1);
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  ::_exit(1);
}

TEST(SqliteCrash, AcknowledgedRowsSurviveAKillAtAnyMoment) {
  const TestFolder folder;
  const std::string path = folder.path() / "crash.db";
  metrics::Registry registry;
  ASSERT_TRUE(open_sqlite({.path = path}, registry).value()->migrate({kSchema}));
  SystemRandom random;
  std::vector<std::int64_t> acknowledged;
  for (int round = 0; round < 12; ++round) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) write_until_killed(path, ends[1], std::int64_t{round} * 1'000'000);
    ::close(ends[1]);
    const std::uint64_t kill_after = 1 + random.below(600);
    bool killed = false;
    std::uint64_t seen = 0;
    std::int64_t id = 0;
    while (::read(ends[0], &id, sizeof id) == sizeof id) {  // to the end: what was acknowledged before the kill counts
      acknowledged.push_back(id);
      if (++seen >= kill_after && !killed) {
        ::kill(child, SIGKILL);
        killed = true;
      }
    }
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));

    const auto database = open_sqlite({.path = path}, registry).value();
    const std::vector<std::int64_t> stored = ids_in(*database);
    std::ranges::sort(acknowledged);
    ASSERT_TRUE(std::ranges::includes(stored, acknowledged)) << "round " << round;
    const auto check = wait(database->system_read([](SystemTx& tx) { return tx.query_one("PRAGMA integrity_check"); }));
    ASSERT_EQ(check.value().text(0), "ok");
  }
}

// --- full disks --------------------------------------------------------------------------------------------------

// A file system with little room: a small tmpfs where we may mount one, else a limit on the size of files.
class SmallDisk {
 public:
  SmallDisk() {
    mounted_ = ::mount("tmpfs", path().c_str(), "tmpfs", 0, "size=1m") == 0;
    if (mounted_) return;
    before_ = ::signal(SIGXFSZ, SIG_IGN);
    limit_files(600'000);
  }
  ~SmallDisk() {
    if (mounted_) {
      ::umount2(path().c_str(), MNT_DETACH);
    } else {
      limit_files(RLIM_INFINITY);
      ::signal(SIGXFSZ, before_);
    }
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  std::string path() const { return folder_.path(); }
  void make_room() {
    if (mounted_) {
      EXPECT_EQ(::mount("tmpfs", path().c_str(), "tmpfs", MS_REMOUNT, "size=64m"), 0);
    } else {
      limit_files(RLIM_INFINITY);
    }
  }

 private:
  static void limit_files(rlim_t size) {
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = size;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  TestFolder folder_;
  bool mounted_ = false;
  sighandler_t before_ = SIG_DFL;
};

TEST(SqliteFullDisk, AnswersStorageFullKeepsTheDataAndRecovers) {
  SmallDisk disk;
  metrics::Registry registry;
  const auto database = open_sqlite({.path = disk.path() + "/full.db"}, registry).value();
  ASSERT_TRUE(database->migrate({kSchema}));
  const auto add = [&](std::int64_t id) {
    return database->system_write_blocking([id](SystemTx& tx) {
      return tx.execute("INSERT INTO item (id, text) VALUES ($1, $2)", {id, std::string(20'000, 'x')});
    });
  };
  std::vector<std::int64_t> stored;
  ErrorCode code = ErrorCode::kCancelled;
  for (std::int64_t id = 0; id < 1'000 && code == ErrorCode::kCancelled; ++id) {
    code = code_of(add(id));
    if (code == ErrorCode::kCancelled) stored.push_back(id);
  }
  EXPECT_EQ(code, ErrorCode::kStorageFull);
  EXPECT_GT(stored.size(), 5U);
  EXPECT_EQ(code_of(add(5'000)), ErrorCode::kStorageFull);
  EXPECT_EQ(ids_in(*database), stored);  // reads go on

  disk.make_room();
  ASSERT_TRUE(add(6'000));
  stored.push_back(6'000);
  EXPECT_EQ(ids_in(*database), stored);
  EXPECT_EQ(wait(database->system_read([](SystemTx& tx) { return tx.query_one("PRAGMA integrity_check"); }))->text(0),
            "ok");
}

}  // namespace
}  // namespace bulkhead::sql
