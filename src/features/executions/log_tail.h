// A live tail of an install's log as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
//
// It reads the execution log itself, a little behind the present, so that it shows what every node recorded. Rows
// arrive in batches and not strictly in the order of their end; a window of the last seconds is read again and what was
// shown is remembered by id.
#pragma once

#include <atomic>
#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "base/tenant_scope.h"
#include "features/executions/execution_record.h"
#include "platform/net/http.h"
#include "platform/sql/database.h"

namespace bulkhead::executions {

// {"execution_id","request_id","status","http_status",…,"logs":[…]}
json::object execution_json(const Execution& execution);

// Streams until the client leaves, an hour is over (clients reconnect) or `stopping` becomes true.
Task<> tail_log(sql::Database& database, const Clock& clock, TenantScope scope, InstallId install,
                const std::atomic<bool>& stopping, net::ResponseWriter& writer);

}  // namespace bulkhead::executions
