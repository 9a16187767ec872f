#include "features/access/principal.h"

#include "features/access/roles.h"

namespace bulkhead::access {

bool Principal::has(std::string_view permission) const { return any_covers(permissions, permission); }

}  // namespace bulkhead::access
