// The storage.* host calls: JSON in, JSON out (api/abi/storage.*.json). They check shapes and limits and delegate to
// key_value_store.h. The capability has been checked by the Broker.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "features/broker/key_value_store.h"
#include "features/extensions/installed.h"
#include "platform/async/task.h"
#include "protocol/frames.h"

namespace bulkhead::broker {

// What a host call may use. Copied into each call's coroutine.
struct CallContext {
  sql::Database& database;
  const Clock& clock;
  TenantScope scope;
  extensions::InstalledPtr install;
};

// {"error":{"code","message"}} with the ABI's negative code.
protocol::HostResult host_error(protocol::HostCode code, std::string_view name, std::string_view message);

Task<protocol::HostResult> storage_get(CallContext context, json::value request);
Task<protocol::HostResult> storage_put(CallContext context, json::value request);
Task<protocol::HostResult> storage_delete(CallContext context, json::value request);
Task<protocol::HostResult> storage_list(CallContext context, json::value request);
Task<protocol::HostResult> storage_bulk_put(CallContext context, json::value request);

}  // namespace bulkhead::broker
