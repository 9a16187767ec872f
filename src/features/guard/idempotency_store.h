// All SQL of the idempotency_record table. Called inside transactions, on database threads.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "features/guard/stored_answer.h"
#include "platform/sql/database.h"

namespace bulkhead::guard {

// Which request a key stands for; the tenant is the transaction's.
struct RecordKey {
  std::string principal;
  std::string endpoint;
  std::string key;
};

// Which process began a call.
struct ProcessName {
  std::string node;
  std::string epoch;
};

struct IdempotencyRecord {
  std::string fingerprint;
  std::string state;  // "in_flight", "completed", "unknown"
  ProcessName began_by;
  UtcMicros in_flight_until;
  UtcMicros expires_at;
  StoredAnswer answer;  // when completed
};

struct NewRecord {
  std::string fingerprint;
  ProcessName began_by;
  UtcMicros started_at;
  UtcMicros in_flight_until;
  UtcMicros expires_at;
};

// False when the key has a record already. Concurrent inserts of one key: exactly one is true.
Result<bool> insert_record(sql::TenantTx& tx, const RecordKey& key, const NewRecord& record);
// Locks the row until the end of the transaction where the engine has row locks.
Result<std::optional<IdempotencyRecord>> lock_record(sql::TenantTx& tx, const RecordKey& key);
// The key starts anew, as if inserted.
Status replace_record(sql::TenantTx& tx, const RecordKey& key, const NewRecord& record);
Status mark_record_unknown(sql::TenantTx& tx, const RecordKey& key);

// These three act only on a call in flight that this process began; false when there is none.
Result<bool> complete_record(sql::TenantTx& tx, const RecordKey& key, const ProcessName& process,
                             const StoredAnswer& answer, UtcMicros expires_at);
Result<bool> abandon_record(sql::TenantTx& tx, const RecordKey& key, const ProcessName& process);
Result<bool> give_up_record(sql::TenantTx& tx, const RecordKey& key, const ProcessName& process);

// In flight, begun by this node in an earlier life → unknown. The number of them.
Result<std::int64_t> mark_lost_records(sql::SystemTx& tx, const ProcessName& process);
Result<std::int64_t> delete_expired_records(sql::SystemTx& tx, UtcMicros now, std::int64_t limit);

}  // namespace bulkhead::guard
