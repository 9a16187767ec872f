// Lists of strings in a TEXT column, as a JSON array.
#pragma once

#include <string>
#include <vector>

namespace bulkhead::extensions {

std::string list_to_text(const std::vector<std::string>& texts);
// Asserts that `list_to_text` wrote it.
std::vector<std::string> list_from_text(const std::string& text);

}  // namespace bulkhead::extensions
