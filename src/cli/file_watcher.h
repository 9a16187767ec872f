// What changes in a project's folder: for `ext dev`.
//
// Left out is what a build makes and what editors leave: hidden names, dist, node_modules, target, *.tar.zst, *~.
// Used on one thread.
#pragma once

#include <map>
#include <string>

#include "base/error.h"
#include "base/sha256.h"
#include "platform/process/unique_fd.h"

namespace bulkhead::cli {

class FileWatcher {
 public:
  // Watches the folder and every folder below. kInternal when the system's limit of watches is reached.
  static Result<FileWatcher> watch(const std::string& folder);

  // Readable when something may have changed.
  int fd() const { return inotify_.get(); }
  // Reads what is there to read, without blocking; whether any of it is about a file that counts.
  Result<bool> take_changes();

 private:
  explicit FileWatcher(process::UniqueFd inotify) : inotify_(std::move(inotify)) {}
  Status add(const std::string& folder);
  process::UniqueFd inotify_;
  std::map<int, std::string> folders_;  // by watch
};

// One digest of the names and contents of all files that count: a build that rewrites a file as it was is no change.
Result<Sha256Digest> folder_digest(const std::string& folder);

}  // namespace bulkhead::cli
