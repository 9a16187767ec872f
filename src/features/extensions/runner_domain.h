// App domains of installs: `<t8>--<e8>.<EXT_DOMAIN_ROOT>` (contracts/extensions.md §2).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace bulkhead::extensions {

// In the order to try: t and e with 8 hex digits of their ids, then e with 12, then both. `root` empty: "localhost".
std::vector<std::string> runner_domain_candidates(const TenantId& tenant, const ExtensionId& extension,
                                                  std::string_view root);
// A Host header as the look-up key: lower case, without port and final dot.
std::string normalized_host(std::string_view host);

}  // namespace bulkhead::extensions
