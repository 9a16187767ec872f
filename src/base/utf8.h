// UTF-8 checking (RFC 3629) for text that came from guests and clients and goes into logs and databases.
#pragma once

#include <string>
#include <string_view>

namespace bulkhead {

// Well-formed, no surrogates, no overlong forms. NUL counts as valid UTF-8.
bool is_valid_utf8(std::string_view text);
// Replaces every malformed byte and every NUL by U+FFFD and cuts at `most` bytes (on a character's border).
std::string clean_utf8(std::string_view text, std::size_t most);

}  // namespace bulkhead
