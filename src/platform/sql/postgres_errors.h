// What SQLSTATE codes of PostgreSQL (manual, Appendix A) mean to us.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace bulkhead::sql {

Error error_for_state(std::string_view state, std::string detail);
// The same transaction may succeed when it is run again.
bool is_serialization_state(std::string_view state);
// The session is over, or what it has prepared is no longer valid: go on with a new connection.
bool ends_connection(std::string_view state, std::string_view message);

}  // namespace bulkhead::sql
