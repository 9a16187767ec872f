// A file that was compiled into the program by bh_embed_files (cmake/EmbedFiles.cmake). That call's NAME is declared by
// its user as `std::span<const EmbeddedFile> NAME_files();` in namespace bulkhead. Constant data: any thread.
#pragma once

#include <span>
#include <string_view>

namespace bulkhead {

struct EmbeddedFile {
  std::string_view path;  // relative, with forward slashes, in path order
  std::string_view bytes;
};

}  // namespace bulkhead
