// What the engines share about migrations: which are missing, and the table that remembers the applied ones.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/sql/database.h"
#include "platform/sql/migrations.h"

namespace bulkhead::sql {

inline constexpr const char* kCreateMigrationTable =
    "CREATE TABLE IF NOT EXISTS schema_migration ("
    "room TEXT NOT NULL, number BIGINT NOT NULL, name TEXT NOT NULL, checksum TEXT NOT NULL, "
    "applied_at BIGINT NOT NULL, PRIMARY KEY (room, number))";
inline constexpr const char* kSelectMigrations = "SELECT room, number, checksum FROM schema_migration";
inline constexpr const char* kInsertMigration =
    "INSERT INTO schema_migration (room, number, name, checksum, applied_at) VALUES ($1, $2, $3, $4, $5)";

// SHA-256 (hex) of the text.
std::string checksum(const Migration& migration);

// Tables named by `-- MARKER: TABLE` lines.
std::vector<std::string> marked_tables(std::string_view text, std::string_view marker);

// The migrations of `known` for this engine that `applied` (rows of kSelectMigrations) lacks, in order. kConflict when
// the text of an applied one has changed. Applied ones that are not known are left alone: during a rolling upgrade an
// older node may start on a schema that is newer than itself.
Result<std::vector<const Migration*>> plan_migrations(const std::vector<Migration>& known, const Rows& applied,
                                                      Engine engine);

}  // namespace bulkhead::sql
