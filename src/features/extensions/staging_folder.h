// Local files on their way in: uploads while they arrive, bundles while they are read. One folder, on the same file
// system as a local blob store if possible, so that a finished file can move there. What a crash leaves is removed
// after a day.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/random.h"
#include "platform/async/thread_pool.h"
#include "platform/net/http.h"

namespace bulkhead::extensions {

// A file of the staging folder; gone when this goes.
class StagedFile {
 public:
  explicit StagedFile(std::string path) : path_(std::move(path)) {}
  StagedFile(StagedFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  StagedFile& operator=(StagedFile&&) = delete;
  ~StagedFile();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct ReceivedUpload {
  StagedFile file;
  ContentHash content_hash;
  Bytes size;
};

class StagingFolder {
 public:
  // Makes the folder and removes what is older than a day. Blocking; at start. `random` is thread-safe.
  static Result<StagingFolder> open(std::string path, Random& random);

  // A name that is free; the file itself is not made.
  StagedFile new_file() const;
  // Writes the body to a new file, hashing as it comes. kPayloadTooLarge over `limit`, kStorageFull, what the reader
  // says. The files' work runs on `pool`.
  Task<Result<ReceivedUpload>> receive(net::BodyReader& body, Bytes limit, ThreadPool& pool) const;

 private:
  StagingFolder(std::string path, Random& random) : path_(std::move(path)), random_(random) {}
  std::string path_;
  Random& random_;
};

}  // namespace bulkhead::extensions
