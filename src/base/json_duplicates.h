// Finds an object member that stands twice. Boost.JSON keeps the last one silently; two parsers that disagree about
// which one counts are how signed documents are forged, so `parse_json` refuses them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bulkhead {

// `text` must already have parsed as JSON. Returns the first repeated member name.
std::optional<std::string> find_duplicate_member(std::string_view text);

}  // namespace bulkhead
