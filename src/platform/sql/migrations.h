// Numbered migrations, per room. A room's `migrations/NNNN_name.sql` files are compiled in by bh_room (cmake/Room.cmake)
// as `<room>_migrations()`; the composition root joins the rooms' lists and passes them to Database::migrate.
//
// Applied migrations are kept in `schema_migration(room, number, name, checksum, applied_at)`; one whose text changed
// after it was applied is refused (kConflict). A `-- tenant-scoped: TABLE` comment line in a file makes PostgreSQL enable
// row-level security on that table with the policy tenant_id = current tenant, and grant it to the tenant role.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::sql {

struct Migration {
  std::string room;
  int number = 0;
  std::string name;
  // Empty = both engines; else "sqlite" or "postgres".
  std::string engine;
  std::string text;
};

// `file_name`: NNNN_name.sql, NNNN_name.sqlite.sql or NNNN_name.postgres.sql; asserts the form.
Migration migration_file(std::string_view room, std::string_view file_name, std::string_view text);

}  // namespace bulkhead::sql
