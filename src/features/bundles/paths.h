// Names of bundle entries: which are safe to extract anywhere, and which would collide on some file system.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/error.h"

namespace bulkhead::bundles {

inline constexpr std::size_t kMaxPathLength = 512;

// Why `path` is not a safe relative path, or nullopt. Refused: absolute, empty, dot or dot-dot segments, backslashes,
// colons (drive letters, alternate streams), control characters, bytes that are not UTF-8, more than kMaxPathLength.
std::optional<std::string> path_problem(std::string_view path);

// Simple Unicode case folding of UTF-8, independent of the process's locale.
std::string fold_case(std::string_view text);

// "ui/**/*", "docs/*.md": `*` and `?` stay within a segment, `**` spans any number of segments.
bool glob_matches(std::string_view pattern, std::string_view path);

// The names seen so far in one archive.
class EntryNames {
 public:
  // kBundleInvalid: unsafe, seen before, differs from another name only by case, or a file where a folder is needed.
  Status add_file(std::string_view path);
  Status add_folder(std::string_view path);

 private:
  enum class Kind : std::uint8_t { kFile, kFolder };
  struct Seen {
    std::string spelling;
    Kind kind;
  };
  Status add_one(std::string_view path, Kind kind);
  Status add_parents(std::string_view path);
  std::unordered_map<std::string, Seen> seen_;  // by folded name
};

}  // namespace bulkhead::bundles
