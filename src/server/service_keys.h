// The installation's key for service tokens (base/service_token.h): made at the first start, kept 0600 in the data
// folder.
#pragma once

#include <string>

#include "base/error.h"
#include "base/service_token.h"

namespace bulkhead::server {

Result<ServiceKeys> load_or_create_service_keys(const std::string& path);

}  // namespace bulkhead::server
