// The gateway's rows of the route table.
#pragma once

#include "features/access/route.h"
#include "features/gateway/gateway_service.h"

namespace bulkhead::gateway {

// `service` outlives the routes.
access::Routes gateway_routes(GatewayService& service);

}  // namespace bulkhead::gateway
