// Extension names ("com.example.orders") and the name prefixes that trust entries are bound to.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bulkhead::bundles {

inline constexpr std::size_t kMaxNameLength = 128;

// Why `name` is not a reverse-domain name, or nullopt. Two or more labels of a-z, 0-9 and inner hyphens, the first one
// starting with a letter, each at most 63 characters, the whole at most kMaxNameLength.
std::optional<std::string> name_problem(std::string_view name);

// "com.example" covers com.example and everything below it, never com.examples; "*" covers every name.
bool prefix_covers(std::string_view prefix, std::string_view name);
// Why `prefix` can't bind a trust entry, or nullopt: a name, a single label or "*".
std::optional<std::string> prefix_problem(std::string_view prefix);

}  // namespace bulkhead::bundles
