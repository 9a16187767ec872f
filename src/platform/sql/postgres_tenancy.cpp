#include "platform/sql/postgres_tenancy.h"

#include "platform/observe/log.h"
#include "platform/sql/migration_plan.h"

namespace bulkhead::sql {
namespace {

// Roles belong to the whole server: a migration of another database may create it at the same time.
constexpr const char* kCreateRole = R"(
DO $bulkhead$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bulkhead_tenant') THEN
    CREATE ROLE bulkhead_tenant NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $bulkhead$;
)";
constexpr const char* kJoinRole = R"(
DO $bulkhead$ BEGIN
  IF NOT pg_has_role(CURRENT_USER, 'bulkhead_tenant', 'MEMBER') THEN
    GRANT bulkhead_tenant TO CURRENT_USER;
  END IF;
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO bulkhead_tenant', current_schema());
END $bulkhead$;
)";

constexpr const char* kCheckRole =
    "SELECT rolsuper OR rolbypassrls OR rolcanlogin, pg_has_role('bulkhead_tenant', CURRENT_USER, 'MEMBER') "
    "FROM pg_roles WHERE rolname = 'bulkhead_tenant'";

std::string replace_table(std::string_view pattern, const std::string& table) {
  std::string text(pattern);
  for (std::size_t at = 0; (at = text.find("TABLE_NAME", at)) != std::string::npos; at += table.size()) {
    text.replace(at, std::string_view("TABLE_NAME").size(), table);
  }
  return text;
}

constexpr std::string_view kTenantScoped = R"(
ALTER TABLE TABLE_NAME ENABLE ROW LEVEL SECURITY;
ALTER TABLE TABLE_NAME FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS bulkhead_tenant ON TABLE_NAME;
CREATE POLICY bulkhead_tenant ON TABLE_NAME TO bulkhead_tenant
  USING (tenant_id = current_setting('bulkhead.tenant', true))
  WITH CHECK (tenant_id = current_setting('bulkhead.tenant', true));
DROP POLICY IF EXISTS bulkhead_system ON TABLE_NAME;
CREATE POLICY bulkhead_system ON TABLE_NAME TO CURRENT_USER USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE_NAME TO bulkhead_tenant;
)";

constexpr std::string_view kTenantReadable = "GRANT SELECT ON TABLE_NAME TO bulkhead_tenant;\n";

}  // namespace

Status or_not_prepared(Status outcome, const std::string& why, const std::string& statements) {
  if (outcome || outcome.error().code != ErrorCode::kInternal) return outcome;
  return fail_because(ErrorCode::kDatabaseNotPrepared, why + " As a superuser run: " + statements,
                      std::move(outcome.error()));
}

Status prepare_tenant_role(PostgresConnection& connection) {
  const std::string user = connection.user_identifier();
  const std::string join = "GRANT bulkhead_tenant TO " + user + ";";
  BH_TRY_VOID(or_not_prepared(
      connection.run_script(kCreateRole),
      "The database user " + user + " may not make the role bulkhead_tenant, which is for row-level security.",
      "CREATE ROLE bulkhead_tenant NOLOGIN; " + join));
  BH_TRY_VOID(or_not_prepared(connection.run_script(kJoinRole),
                              "The database user " + user + " may not act as the role bulkhead_tenant.", join));
  BH_TRY(const Rows role, connection.query(kCheckRole, {}));
  BH_ASSERT(role.size() == 1);
  if (role[0].boolean(0) || role[0].boolean(1)) {
    return fail(ErrorCode::kDatabaseNotPrepared,
                "The role bulkhead_tenant could get around row-level security. As a superuser run: ALTER ROLE "
                "bulkhead_tenant NOLOGIN NOSUPERUSER NOBYPASSRLS; REVOKE " +
                    user + " FROM bulkhead_tenant;");
  }
  return {};
}

std::string tenant_access_script(const std::string& migration_text) {
  std::string script;
  for (const std::string& table : marked_tables(migration_text, "tenant-scoped")) {
    script += replace_table(kTenantScoped, table);
  }
  for (const std::string& table : marked_tables(migration_text, "tenant-readable")) {
    script += replace_table(kTenantReadable, table);
  }
  return script;
}

void warn_about_collation(PostgresConnection& connection) {
  const auto rows = connection.query("SELECT datcollate FROM pg_database WHERE datname = current_database()", {});
  if (!rows || rows->empty()) return;
  const std::string& collation = rows->front().text(0);
  if (collation == "C" || collation == "POSIX" || collation == "C.UTF-8" || collation == "C.utf8") return;
  log::warn("sql_collation", {{"collation", collation}, {"wanted", "C"}});
}

}  // namespace bulkhead::sql
