// The reference pages that are generated from tables in the code: docs/errors.md and docs/configuration.md. Their test
// compares them with the files; BH_UPDATE_DOCS=1 writes the files instead.
#pragma once

#include <string>

namespace bulkhead::server {

std::string errors_page();
std::string configuration_page();

}  // namespace bulkhead::server
