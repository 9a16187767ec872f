// Writes bundle.tar.zst deterministically: the same files give the same bytes on every machine and day. Entries sorted
// by name, mode 0644, mtime 0, uid and gid 0, no folders, one zstd frame of one level from one thread. The golden hash
// in archive_writer_test.cpp pins all of it, zstd's own output included. Blocking.
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"

namespace bulkhead::bundles {

inline constexpr int kZstdLevel = 9;

struct PackedFile {
  std::string path;  // in the archive
  struct OnDisk {
    std::string path;
    Bytes size;
  };
  std::variant<std::string, OnDisk> content;

  Bytes size() const;
};

// Bytes of files packed so far, of all.
using Progress = std::function<void(Bytes done, Bytes total)>;

struct WrittenArchive {
  ContentHash content_hash;
  Bytes size;
};

// Replaces `out_path` at once when everything is written, and leaves it untouched on an error: kBundleInvalid (names,
// a file that changed meanwhile), kBundleTooLarge, kStorageFull, kInternal.
Result<WrittenArchive> write_archive(std::vector<PackedFile> files, const std::string& out_path,
                                     const Progress& progress = {});

}  // namespace bulkhead::bundles
