#include "platform/sql/migrations.h"

#include "base/error.h"
#include "platform/sql/migration_plan.h"

namespace bulkhead::sql {
namespace {

bool is_word(std::string_view text) {
  for (const char c : text) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return !text.empty();
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

std::string label(std::string_view room, std::int64_t number) {
  return std::string(room) + "/" + std::to_string(number);
}

}  // namespace

Migration migration_file(std::string_view room, std::string_view file_name, std::string_view text) {
  BH_ASSERT(file_name.ends_with(".sql"));
  file_name.remove_suffix(4);
  Migration migration{.room = std::string(room), .number = 0, .name = {}, .engine = {}, .text = std::string(text)};
  for (const std::string_view engine : {"sqlite", "postgres"}) {
    const std::string suffix = "." + std::string(engine);
    if (!file_name.ends_with(suffix)) continue;
    migration.engine = engine;
    file_name.remove_suffix(suffix.size());
    break;
  }
  BH_ASSERT(file_name.size() > 5 && file_name[4] == '_');
  for (const char c : file_name.substr(0, 4)) {
    BH_ASSERT(c >= '0' && c <= '9');
    migration.number = migration.number * 10 + (c - '0');
  }
  migration.name = file_name.substr(5);
  BH_ASSERT(migration.number > 0 && is_word(migration.name));
  return migration;
}

std::vector<std::string> marked_tables(std::string_view text, std::string_view marker) {
  const std::string prefix = "-- " + std::string(marker) + ":";
  std::vector<std::string> tables;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.starts_with(prefix)) continue;
    const std::string_view table = trim(line.substr(prefix.size()));
    BH_ASSERT(is_word(table));  // it becomes part of a statement
    tables.emplace_back(table);
  }
  return tables;
}

Result<std::vector<const Migration*>> plan_migrations(const std::vector<Migration>& known, const Rows& applied,
                                                      Engine engine) {
  const std::string_view engine_name = engine == Engine::kSqlite ? "sqlite" : "postgres";
  std::map<std::string, std::string> checksums;
  for (const Row& row : applied) checksums.emplace(label(row.text(0), row.integer(1)), row.text(2));

  std::vector<const Migration*> missing;
  std::map<std::string, int> last_of_room;
  for (const Migration& migration : known) {
    if (!migration.engine.empty() && migration.engine != engine_name) continue;
    int& last = last_of_room[migration.room];
    BH_ASSERT(migration.number > last);  // two files with one number, or out of order
    last = migration.number;
    const auto found = checksums.find(label(migration.room, migration.number));
    if (found == checksums.end()) {
      missing.push_back(&migration);
    } else if (found->second != checksum(migration)) {
      return fail(ErrorCode::kConflict,
                  "Migration " + found->first + " (" + migration.name +
                      ") was changed after it was applied to this database. Restore its text and add a new migration.");
    }
  }
  return missing;
}

std::string checksum(const Migration& migration) { return ContentHash::of(migration.text).hex(); }

}  // namespace bulkhead::sql
