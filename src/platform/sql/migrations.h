// Numbered migrations, per room. A room's `migrations/NNNN_name.sql` files are compiled in by bh_room
// (cmake/Room.cmake) as `<room>_migrations()`; the composition root joins the rooms' lists and passes them to
// Database::migrate.
//
// Applied migrations are kept in `schema_migration(room, number, name, checksum, applied_at)`; one whose text changed
// after it was applied is refused (kConflict). All missing ones are applied in one transaction: all or none.
//
// Comment lines in a file say what a tenant transaction may touch on PostgreSQL, where it runs as the role
// `bulkhead_tenant` that owns nothing (SQLite ignores them):
//   -- tenant-scoped: TABLE     the table has a column `tenant_id TEXT`: row-level security by the current tenant, and
//                               SELECT, INSERT, UPDATE, DELETE for the tenant role
//   -- tenant-readable: TABLE   a table without tenants that tenant transactions join with: SELECT for the tenant role
// Any other table is out of reach of tenant transactions.
//
// One dialect for both engines: TEXT, BIGINT, DOUBLE PRECISION and BYTEA as column types (SQLite takes any type name),
// no AUTOINCREMENT/IDENTITY, no BLOB or x'..' literals, INSERT ... ON CONFLICT and RETURNING are fine.
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
