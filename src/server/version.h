// The program's version (semver), as `bulkhead version` shows it. CHANGELOG.md says what is in it.
#pragma once

#include <string_view>

namespace bulkhead::server {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace bulkhead::server
