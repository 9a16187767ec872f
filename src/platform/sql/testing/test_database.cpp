#include "platform/sql/test_database.h"

#include <stdlib.h>

#include <cstdio>

namespace bulkhead::sql {
namespace {

template <typename T>
T value_or_abort(Result<T> result) {
  if (!result) std::fprintf(stderr, "test database: %s\n", result.error().to_log_string().c_str());
  BH_ASSERT(result.has_value());
  return std::move(*result);
}

std::unique_ptr<Database> open_at([[maybe_unused]] Engine engine, const std::string& place,
                                  metrics::Registry& registry) {
  return value_or_abort(open_sqlite({.path = place}, registry));
}

}  // namespace

std::vector<Engine> test_engines() { return {Engine::kSqlite}; }

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

TestDatabase::TestDatabase(Engine engine, const std::vector<Migration>& migrations)
    : registry_(std::make_unique<metrics::Registry>()),
      engine_(engine),
      place_((folder_.path() / "bulkhead.db").string()),
      database_(open_at(engine, place_, *registry_)) {
  const Status migrated = database_->migrate(migrations);
  if (!migrated) std::fprintf(stderr, "test database: %s\n", migrated.error().to_log_string().c_str());
  BH_ASSERT(migrated.has_value());
}

std::unique_ptr<Database> TestDatabase::open_again() { return open_at(engine_, place_, *registry_); }

TestDatabase open_test_database(Engine engine, std::initializer_list<std::vector<Migration>> migrations) {
  std::vector<Migration> all;
  for (const auto& room : migrations) all.insert(all.end(), room.begin(), room.end());
  return TestDatabase(engine, all);
}

}  // namespace bulkhead::sql
