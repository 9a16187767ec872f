// The host calls schedules.register and schedules.cancel (api/abi/schedules.*.json).
#pragma once

#include "features/broker/host_function.h"
#include "features/schedules/schedule_service.h"

namespace bulkhead::schedules {

// `service` outlives the functions.
broker::HostFunctions schedule_functions(ScheduleService& service);

}  // namespace bulkhead::schedules
