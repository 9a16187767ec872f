#include "platform/sql/database.h"

#include <future>

#include "platform/sql/placeholders.h"

namespace bulkhead::sql {
namespace {

Result<Row> only_row(Result<Rows> rows) {
  if (!rows) return fail(std::move(rows.error()));
  if (rows->empty()) return fail(ErrorCode::kNotFound);
  BH_ASSERT(rows->size() == 1);
  return std::move(rows->front());
}

}  // namespace

Result<Row> SystemTx::query_one(std::string_view statement, const Values& values) {
  return only_row(query(statement, values));
}

Result<Rows> TenantTx::query(std::string_view statement, Values values) {
  BH_TRY(const Values bound, bind_tenant(statement, std::move(values)));
  return connection_.query(statement, bound);
}

Result<std::int64_t> TenantTx::execute(std::string_view statement, Values values) {
  BH_TRY(const Values bound, bind_tenant(statement, std::move(values)));
  return connection_.execute(statement, bound);
}

Result<Row> TenantTx::query_one(std::string_view statement, Values values) {
  return only_row(query(statement, std::move(values)));
}

// A tenant statement that does not use the tenant is a bug of ours; on SQLite nothing else would stop it.
Result<Values> TenantTx::bind_tenant(std::string_view statement, Values values) const {
  bool uses_tenant = false;
  for (const Placeholder& placeholder : find_placeholders(statement)) uses_tenant |= placeholder.number == 1;
  BH_ASSERT(uses_tenant);
  values.insert(values.begin(), Value(tenant()));
  return values;
}

void Database::submit_and_wait(Mode mode, Work work, Status& outcome) {
  std::promise<Status> finished;
  submit(mode, nullptr, std::move(work), [&finished](Status status) { finished.set_value(std::move(status)); });
  outcome = finished.get_future().get();
}

}  // namespace bulkhead::sql
