#include "features/guard/idempotency_store.h"

namespace bulkhead::guard {
namespace {

constexpr std::string_view kWhere =
    " WHERE tenant_id = $1 AND principal = $2 AND endpoint = $3 AND idempotency_key = $4";

// Values of $2… for statements that begin with the key.
sql::Values with_key(const RecordKey& key, sql::Values more = {}) {
  sql::Values values = {key.principal, key.endpoint, key.key};
  for (sql::Value& value : more) values.push_back(std::move(value));
  return values;
}

std::string statement(std::string_view start, std::string_view end = "") {
  std::string text(start);
  text += kWhere;
  text += end;
  return text;
}

sql::Values values_of(const NewRecord& record) {
  return {record.fingerprint, record.began_by.node,   record.began_by.epoch,
          record.started_at,  record.in_flight_until, record.expires_at};
}

Result<StoredAnswer> answer_of(const sql::Row& row) {
  StoredAnswer answer;
  answer.status = static_cast<int>(row.integer(6));
  answer.headers = row.text(7);
  answer.body = row.optional_text(8);
  const auto state = parse_body_state(row.text(9));
  if (!state) return fail(ErrorCode::kInternal, {}, "unknown body_state in idempotency_record");
  answer.body_state = *state;
  return answer;
}

Result<bool> changed_one(Result<std::int64_t> rows) {
  if (!rows) return fail(std::move(rows.error()));
  return *rows == 1;
}

}  // namespace

Result<bool> insert_record(sql::TenantTx& tx, const RecordKey& key, const NewRecord& record) {
  return changed_one(tx.execute(
      "INSERT INTO idempotency_record (tenant_id, principal, endpoint, idempotency_key, state, fingerprint, node, "
      "epoch, started_at, in_flight_until, expires_at) VALUES ($1, $2, $3, $4, 'in_flight', $5, $6, $7, $8, $9, $10) "
      "ON CONFLICT (tenant_id, principal, endpoint, idempotency_key) DO NOTHING",
      with_key(key, values_of(record))));
}

Result<std::optional<IdempotencyRecord>> lock_record(sql::TenantTx& tx, const RecordKey& key) {
  BH_TRY(const auto rows,
         tx.query(statement("SELECT fingerprint, state, node, epoch, in_flight_until, expires_at, status, headers, "
                            "body, body_state FROM idempotency_record",
                            tx.engine() == sql::Engine::kPostgres ? " FOR UPDATE" : ""),
                  with_key(key)));
  if (rows.empty()) return std::nullopt;
  const sql::Row& row = rows[0];
  IdempotencyRecord record{row.text(0), row.text(1), {row.text(2), row.text(3)}, row.time(4), row.time(5), {}};
  if (record.state == "completed") {
    BH_TRY(record.answer, answer_of(row));
  }
  return record;
}

Status replace_record(sql::TenantTx& tx, const RecordKey& key, const NewRecord& record) {
  BH_TRY_VOID(tx.execute(
      statement("UPDATE idempotency_record SET state = 'in_flight', fingerprint = $5, node = $6, epoch = $7, "
                "started_at = $8, in_flight_until = $9, expires_at = $10, status = NULL, headers = NULL, body = NULL, "
                "body_state = NULL"),
      with_key(key, values_of(record))));
  return {};
}

Status mark_record_unknown(sql::TenantTx& tx, const RecordKey& key) {
  BH_TRY_VOID(tx.execute(statement("UPDATE idempotency_record SET state = 'unknown'"), with_key(key)));
  return {};
}

Result<bool> complete_record(sql::TenantTx& tx, const RecordKey& key, const ProcessName& process,
                             const StoredAnswer& answer, UtcMicros expires_at) {
  return changed_one(
      tx.execute(statement("UPDATE idempotency_record SET state = 'completed', status = $7, headers = $8, body = $9, "
                           "body_state = $10, expires_at = $11",
                           " AND state = 'in_flight' AND node = $5 AND epoch = $6"),
                 with_key(key, {process.node, process.epoch, answer.status, answer.headers, answer.body,
                                to_string(answer.body_state), expires_at})));
}

Result<bool> abandon_record(sql::TenantTx& tx, const RecordKey& key, const ProcessName& process) {
  return changed_one(
      tx.execute(statement("DELETE FROM idempotency_record", " AND state = 'in_flight' AND node = $5 AND epoch = $6"),
                 with_key(key, {process.node, process.epoch})));
}

Result<bool> give_up_record(sql::TenantTx& tx, const RecordKey& key, const ProcessName& process) {
  return changed_one(tx.execute(statement("UPDATE idempotency_record SET state = 'unknown'",
                                          " AND state = 'in_flight' AND node = $5 AND epoch = $6"),
                                with_key(key, {process.node, process.epoch})));
}

Result<std::int64_t> mark_lost_records(sql::SystemTx& tx, const ProcessName& process) {
  return tx.execute(
      "UPDATE idempotency_record SET state = 'unknown' WHERE state = 'in_flight' AND node = $1 AND epoch <> $2",
      {process.node, process.epoch});
}

Result<std::int64_t> delete_expired_records(sql::SystemTx& tx, UtcMicros now, std::int64_t limit) {
  return tx.execute(
      "DELETE FROM idempotency_record WHERE (tenant_id, principal, endpoint, idempotency_key) IN (SELECT tenant_id, "
      "principal, endpoint, idempotency_key FROM idempotency_record WHERE expires_at <= $1 ORDER BY expires_at "
      "LIMIT $2)",
      {now, limit});
}

}  // namespace bulkhead::guard
