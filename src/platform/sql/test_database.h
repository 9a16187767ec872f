// For tests of every room that stores something: a migrated Database on either engine, in a place of its own that goes
// away with it. Link bh_test_postgres (TEST_LINKS) and run the suite on both:
//
//   class InstallStoreTest : public testing::TestWithParam<sql::Engine> {
//     sql::TestDatabase database_ = sql::open_test_database(GetParam(), {extensions_migrations()});
//   };
//   INSTANTIATE_TEST_SUITE_P(Engines, InstallStoreTest, testing::ValuesIn(sql::test_engines()), sql::test_engine_name);
//
//   auto rows = sql::wait(database_->read(scope, [](sql::TenantTx& tx) { return tx.query("…"); }));
#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "platform/observe/metrics.h"
#include "platform/sql/database.h"
#include "platform/sql/engines.h"

namespace bulkhead::sql {

// Every engine.
std::vector<Engine> test_engines();
std::string to_string(Engine engine);  // "sqlite", "postgres"

// A folder of its own under the system's temporary folder, removed at the end.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(TestFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TestFolder& operator=(TestFolder&&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Where a test's data is: a file, or a database of the test program's own PostgreSQL server.
class TestPlace {
 public:
  explicit TestPlace(Engine engine);
  ~TestPlace();
  TestPlace(const TestPlace&) = delete;
  TestPlace& operator=(const TestPlace&) = delete;
  const std::string& url() const { return url_; }

 private:
  Engine engine_;
  TestFolder folder_;
  std::string name_;
  std::string url_;
};

class TestDatabase {
 public:
  TestDatabase(Engine engine, const std::vector<Migration>& migrations);
  TestDatabase(TestDatabase&&) = default;

  Database& operator*() { return *database_; }
  Database* operator->() { return database_.get(); }
  metrics::Registry& registry() { return *registry_; }
  Engine engine() const { return database_->engine(); }
  // A second Database on the same data, like another node or the next start of the program.
  std::unique_ptr<Database> open_again();
  // The SQLite file, or the PostgreSQL URL.
  const std::string& place() const { return place_->url(); }
  void close() { database_->close(); }

 private:
  std::unique_ptr<metrics::Registry> registry_;
  std::unique_ptr<TestPlace> place_;
  std::unique_ptr<Database> database_;
};

// Aborts the test program when the database can't be opened or migrated.
TestDatabase open_test_database(Engine engine, std::initializer_list<std::vector<Migration>> migrations = {});

// Starts a task on this thread's context, for `run_tasks`.
void start_task(Task<> task);
// Runs what was started to its end. The context outlives what database threads still do with it afterwards.
void run_tasks();

// Runs a task to its end.
template <typename T>
T wait(Task<T> task) {
  std::optional<T> result;
  const auto keep = [](Task<T> inner, std::optional<T>& out) -> Task<> { out.emplace(co_await std::move(inner)); };
  start_task(keep(std::move(task), result));
  run_tasks();
  return std::move(*result);
}

// Names the instances of a parameterised suite.
// NOLINTNEXTLINE(readability-identifier-naming): it is used like a function
inline constexpr auto test_engine_name = [](const auto& info) { return to_string(info.param); };

}  // namespace bulkhead::sql
