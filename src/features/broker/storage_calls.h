// The storage.* host calls: JSON in, JSON out (api/abi/storage.*.json). They check shapes and limits and delegate to
// key_value_store.h.
#pragma once

#include "features/broker/host_function.h"
#include "platform/sql/database.h"

namespace bulkhead::broker {

// Both outlive the functions.
HostFunctions storage_functions(sql::Database& database, const Clock& clock);

}  // namespace bulkhead::broker
