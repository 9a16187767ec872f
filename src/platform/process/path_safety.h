// The one helper through which every file path derived from input goes (contracts/access.md, Edge: storage path
// safety).
//
// Two steps, both needed:
//   1. `clean_path` / `check_path` judge the text: relative, no "..", no NUL, backslash or control characters, valid
//      UTF-8, bounded. Percent-decoding is the caller's and comes before.
//   2. `Root` opens what the text names beneath a directory without following any link, so that neither the text nor
//   what
//      lies on the disk leads outside: openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS), or, on
//      kernels and sandboxes without openat2, a walk with O_NOFOLLOW from one directory handle to the next.
//
// All refusals are kInvalidPath. Functions are thread-safe; a Root may be shared between threads once made.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"
#include "platform/process/unique_fd.h"

namespace bulkhead::process {

struct PathRules {
  enum class Hidden : std::uint8_t { kAllow, kRefuse };
  // Names that begin with a dot.
  Hidden hidden = Hidden::kRefuse;
  std::size_t max_size = 1024;  // bytes of the whole path
  std::size_t max_depth = 32;   // segments
};

// The canonical form of a relative path: empty and "." segments (and so a trailing slash) are dropped. A path that
// names the root itself ("", ".", "./") is refused.
Result<std::string> clean_path(std::string_view path, const PathRules& rules = {});

// Like clean_path, but refuses what is not already canonical: for names that are identities (blob keys), where two
// spellings of one thing must not exist.
Status check_path(std::string_view path, const PathRules& rules = {});

// A directory held open; the base of everything that is opened from input.
class Root {
 public:
  enum class Resolver : std::uint8_t { kBest, kWalk };

  // `directory` is the operator's own path and may contain links; it must exist.
  static Result<Root> open(const std::string& directory, Resolver resolver = Resolver::kBest);

  // Opens a regular file. `flags` as in open(2), O_CREAT and O_EXCL included; O_CLOEXEC and O_NOFOLLOW are added.
  // Anything that is not a regular file (fifo, device, directory) is refused, without blocking on it.
  Result<UniqueFd> open_file(std::string_view path, int flags, mode_t mode = 0600) const;
  // Opens a directory; "" is the root itself.
  Result<UniqueFd> open_directory(std::string_view path) const;
  // Makes the directory and its parents where they are missing (0700), and flushes what it made to the disk.
  Status make_directories(std::string_view path) const;
  // kNotFound when absent. Removes a link itself, never what it points to.
  Status remove_file(std::string_view path) const;

  int fd() const { return directory_.get(); }

 private:
  Root(UniqueFd directory, Resolver resolver) : directory_(std::move(directory)), resolver_(resolver) {}
  Result<UniqueFd> open_beneath(std::string_view path, int flags, mode_t mode) const;
  Result<UniqueFd> walk(std::string_view path, int flags, mode_t mode) const;

  UniqueFd directory_;
  Resolver resolver_;
};

// "a/b/c" → {"a/b", "c"}; "c" → {"", "c"}.
struct SplitPath {
  std::string_view parent;
  std::string_view name;
};
SplitPath split_path(std::string_view path);

}  // namespace bulkhead::process
