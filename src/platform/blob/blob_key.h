// What a key and a list prefix may look like; the same for every Store, so that a key works in all or in none.
#pragma once

#include <string_view>

#include "base/error.h"

namespace bulkhead::blob {

// A canonical relative path of at most 900 bytes whose names don't begin with a dot. S3 allows 1024 bytes, prefix
// included.
Status check_key(std::string_view key);
// The beginning of a key: "", "sha256/", "sha256/ab". It may end within a name.
Status check_prefix(std::string_view prefix);

}  // namespace bulkhead::blob
