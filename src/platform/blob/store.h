// blob::Store: the port to content blobs on local disk or S3.
//
// Keys are relative paths of safe characters ("sha256/<hex>/bundle.tar.zst"); every key goes through path_safety.
// Writes are atomic: a reader sees the whole blob or none, also after kill -9. Blobs are immutable once written;
// writing the same key again with the same content is fine. Blocking work runs on the store's own pool, never on an I/O
// thread. Errors: kNotFound, kInvalidPath, kAlreadyExists (other content under that key), kBlobUnavailable
// (unreachable; recovers by itself), kStorageFull, kPayloadTooLarge, kOverloaded (the pool's queue is full).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "platform/async/task.h"

namespace bulkhead::blob {

struct Info {
  Bytes size;
};

class Store {
 public:
  virtual ~Store() = default;
  virtual Task<Status> put(std::string key, std::string bytes) = 0;
  // Moves or uploads a local file. On success the file may be gone.
  virtual Task<Status> put_file(std::string key, std::string path) = 0;
  virtual Task<Result<std::string>> get(std::string key, Bytes at_most) = 0;
  // Writes the blob to a new local file.
  virtual Task<Status> get_to_file(std::string key, std::string path, Bytes at_most) = 0;
  virtual Task<Result<Info>> info(std::string key) = 0;
  virtual Task<Status> remove(std::string key) = 0;  // fine when absent
  virtual Task<Result<std::vector<std::string>>> list(std::string prefix, std::size_t at_most) = 0;
  // A cheap round trip, for /healthz.
  virtual Task<Status> check() = 0;
};

}  // namespace bulkhead::blob
