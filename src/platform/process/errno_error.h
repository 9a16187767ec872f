// Turns errno of a system call into an Error: the one place that says which errno means which code.
#pragma once

#include <string_view>

#include "base/error.h"

namespace bulkhead::process {

// ENOENT → kNotFound, EEXIST → kAlreadyExists, ENOSPC/EDQUOT → kStorageFull, ELOOP/EXDEV/ENOTDIR/ENAMETOOLONG/EISDIR/
// ENXIO → kInvalidPath, EMFILE/ENFILE/ENOMEM/EAGAIN → kOverloaded, everything else kInternal. `operation` and `subject`
// (a path, say) go into the detail, which only logs show.
std::unexpected<Error> fail_errno(int error, std::string_view operation, std::string_view subject = {});

}  // namespace bulkhead::process
