#include "platform/sql/test_database.h"

#include <stdlib.h>

#include <boost/asio/co_spawn.hpp>
#include <cstdio>
#include <exception>
#include <mutex>

#include "platform/sql/test_postgres.h"

namespace bulkhead::sql {
namespace {

template <typename T>
T value_or_abort(Result<T> result) {
  if (!result) std::fprintf(stderr, "test database: %s\n", result.error().to_log_string().c_str());
  BH_ASSERT(result.has_value());
  return std::move(*result);
}

std::unique_ptr<Database> open_at(Engine engine, const std::string& place, metrics::Registry& registry) {
  if (engine == Engine::kSqlite) return value_or_abort(open_sqlite({.path = place}, registry));
  return value_or_abort(open_postgres({.url = place}, registry));
}

// A database's thread may still be waking the context whose task it has just let go on, so contexts stay until all
// databases are gone: one that a thread leaves is there for the next thread.
class ContextOfThread {
 public:
  ContextOfThread() {
    const std::scoped_lock lock(mutex_);
    if (free_.empty()) {
      context_ = std::make_unique<asio::io_context>(1);
    } else {
      context_ = std::move(free_.back());
      free_.pop_back();
    }
  }
  ~ContextOfThread() {
    const std::scoped_lock lock(mutex_);
    free_.push_back(std::move(context_));
  }
  asio::io_context& get() { return *context_; }

 private:
  static inline std::mutex mutex_;
  static inline std::vector<std::unique_ptr<asio::io_context>> free_;
  std::unique_ptr<asio::io_context> context_;
};

asio::io_context& thread_context() {
  thread_local ContextOfThread context;
  return context.get();
}

}  // namespace

void start_task(Task<> task) {
  asio::co_spawn(thread_context(), std::move(task), [](std::exception_ptr escaped) {
    if (escaped) std::rethrow_exception(escaped);
  });
}

void run_tasks() {
  BH_ASSERT(!thread_context().get_executor().running_in_this_thread());
  thread_context().restart();
  thread_context().run();
}

std::vector<Engine> test_engines() { return {Engine::kSqlite, Engine::kPostgres}; }

std::string to_string(Engine engine) { return engine == Engine::kSqlite ? "sqlite" : "postgres"; }

TestFolder::TestFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "bulkhead-test-XXXXXX").string();
  BH_ASSERT(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TestFolder::~TestFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

TestPlace::TestPlace(Engine engine) : engine_(engine) {
  if (engine == Engine::kSqlite) {
    url_ = (folder_.path() / "bulkhead.db").string();
  } else {
    name_ = shared_postgres().create_database();
    url_ = shared_postgres().url(name_);
  }
}

TestPlace::~TestPlace() {
  if (engine_ == Engine::kPostgres) shared_postgres().drop_database(name_);
}

TestDatabase::TestDatabase(Engine engine, const std::vector<Migration>& migrations)
    : registry_(std::make_unique<metrics::Registry>()),
      place_(std::make_unique<TestPlace>(engine)),
      database_(open_at(engine, place_->url(), *registry_)) {
  const Status migrated = database_->migrate(migrations);
  if (!migrated) std::fprintf(stderr, "test database: %s\n", migrated.error().to_log_string().c_str());
  BH_ASSERT(migrated.has_value());
}

std::unique_ptr<Database> TestDatabase::open_again() { return open_at(engine(), place(), *registry_); }

TestDatabase open_test_database(Engine engine, std::initializer_list<std::vector<Migration>> migrations) {
  std::vector<Migration> all;
  for (const auto& room : migrations) all.insert(all.end(), room.begin(), room.end());
  return TestDatabase(engine, all);
}

}  // namespace bulkhead::sql
