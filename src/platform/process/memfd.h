// Sealed memory files: how verified bytes go from a supervisor to processes that are not trusted with the disk.
//
// Once sealed (F_SEAL_WRITE | SHRINK | GROW | SEAL) nobody can change the bytes, the maker included, so what was hashed
// is what is mapped: hash after sealing, or seal and compare. The receiver calls `verify_sealed` before it maps, for a
// file that can still shrink under a mapping is a SIGBUS. Functions block for the length of a memory copy.
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "platform/process/unique_fd.h"

namespace bulkhead::process {

// `name` shows in /proc/<pid>/maps only. The files may be mapped executable, whatever vm.memfd_noexec says (MFD_EXEC).
Result<UniqueFd> make_sealed_memfd(const char* name, std::string_view bytes);
// The whole of the open file `from`, from its beginning. kPayloadTooLarge over `at_most`.
Result<UniqueFd> copy_to_sealed_memfd(const char* name, int from, Bytes at_most);

// The size when `fd` is a memory file with all four seals, else kBadRequest.
Result<Bytes> verify_sealed(int fd);

}  // namespace bulkhead::process
