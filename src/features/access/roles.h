// Permissions and the built-in roles as permission sets (contracts/access.md, What they may do).
//
// A permission is `resource:action`; a pattern may also be `resource:*` or `*`. What a key may do is the intersection
// of its role's patterns and its scopes. The sets are compiled in; `kPolicyVersion` counts their changes. Pure
// functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhead::access {

inline constexpr std::uint64_t kPolicyVersion = 1;

struct Role {
  std::string_view name;
  std::string_view summary;
  std::span<const std::string_view> permissions;
};
std::span<const Role> built_in_roles();
// Null when there is no such role.
const Role* find_role(std::string_view name);

// True when `pattern` allows everything that `permission` (itself possibly a pattern) allows.
bool covers(std::string_view pattern, std::string_view permission);
bool any_covers(std::span<const std::string> patterns, std::string_view permission);

// What both sides allow: for each pair that overlaps, the narrower one. Sorted, without duplicates.
std::vector<std::string> intersect(std::span<const std::string_view> role, std::span<const std::string> scopes);

// kUnprocessable unless `pattern` names a known resource in the form above.
Status check_permission_pattern(std::string_view pattern);

}  // namespace bulkhead::access
