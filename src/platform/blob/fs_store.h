// FsStore's blocking half: every operation on plain files. Called on the store's pool; thread-safe (the state is on the
// disk, and every step there is atomic).
#pragma once

#include <string>
#include <vector>

#include "platform/blob/store.h"
#include "platform/process/path_safety.h"

namespace bulkhead::blob {

class FsBlobs {
 public:
  static Result<FsBlobs> open(const std::string& root);

  Status put(const std::string& key, std::string_view bytes) const;
  Status put_file(const std::string& key, const std::string& path) const;
  Result<std::string> get(const std::string& key, Bytes at_most) const;
  Status get_to_file(const std::string& key, const std::string& path, Bytes at_most) const;
  Result<Info> info(const std::string& key) const;
  Status remove(const std::string& key) const;
  Result<std::vector<std::string>> list(const std::string& prefix, std::size_t at_most) const;
  Status check() const;

 private:
  FsBlobs(process::Root root, process::UniqueFd incoming) : root_(std::move(root)), incoming_(std::move(incoming)) {}
  Result<process::UniqueFd> open_blob(const std::string& key) const;
  // Links the flushed file `name` of `directory` under `key`. A blob that is there already must have the same content.
  Status publish(int directory, const std::string& name, const std::string& key) const;
  Status same_content(const std::string& key, int candidate) const;
  void remove_empty_parents(std::string_view key) const;
  void remove_abandoned() const;

  process::Root root_;
  process::UniqueFd incoming_;
};

}  // namespace bulkhead::blob
