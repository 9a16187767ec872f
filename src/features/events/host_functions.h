// The host call events.emit (api/abi/events.emit.json).
#pragma once

#include "features/broker/host_function.h"
#include "features/events/event_service.h"

namespace bulkhead::events {

// `service` outlives the functions.
broker::HostFunctions event_functions(EventService& service);

}  // namespace bulkhead::events
