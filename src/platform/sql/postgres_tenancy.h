// Row-level security: what makes a tenant's transaction see its own rows only, even with a wrong WHERE.
//
// Tenant transactions run as the role `bulkhead_tenant`, which owns nothing and may only touch what migrations mark
// (migrations.h). The policy of a tenant-scoped table compares its tenant_id with the setting bulkhead.tenant, which
// lasts for one transaction. Security is forced, so a second policy lets the owner (SystemTx) see every row.
#pragma once

#include <string>

#include "platform/sql/postgres_connection.h"

namespace bulkhead::sql {

// `outcome`, but a refusal of the server as kDatabaseNotPrepared: `statements` are what a superuser runs in our place.
Status or_not_prepared(Status outcome, const std::string& why, const std::string& statements);

// Creates the role where it is missing, refuses one that could get around the policies, and lets the current user act
// as it. kDatabaseNotPrepared: a superuser has to do it; the message says how.
Status prepare_tenant_role(PostgresConnection& connection);

// Policies and grants for the tables that a migration's text marks.
std::string tenant_access_script(const std::string& migration_text);

// Text must sort by its bytes, as on SQLite; another collation gets a line in the log.
void warn_about_collation(PostgresConnection& connection);

}  // namespace bulkhead::sql
