// Whole files: read with a limit, write atomically, copy; directories and temporary directories.
//
// Every function blocks: call them on a ThreadPool or at start. Paths are the operator's or our own; what is derived
// from input goes through path_safety.h first. Errors: kNotFound, kAlreadyExists, kStorageFull (ENOSPC, EDQUOT),
// kPayloadTooLarge, kInvalidPath, kInternal.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "platform/process/unique_fd.h"

namespace bulkhead::process {

enum class IfExists : std::uint8_t { kReplace, kRefuse };

Result<UniqueFd> open_for_reading(const std::string& path);
// A new file; kAlreadyExists when there is one.
Result<UniqueFd> create_new_file(const std::string& path, mode_t mode = 0600);
// Made when missing.
Result<UniqueFd> open_for_appending(const std::string& path, mode_t mode = 0600);
Result<Bytes> file_size(int fd);

// kPayloadTooLarge when there is more than `at_most`.
Result<std::string> read_all(int fd, Bytes at_most);
Result<std::string> read_file(const std::string& path, Bytes at_most);

Status write_all(int fd, std::string_view bytes);
// From the file position of `from` to its end, with copy_file_range where the file systems can. Returns the bytes
// copied.
Result<Bytes> copy_all(int from, int to, Bytes at_most);

// A reader sees the old file, the new one, or none: never a part, also after a crash. The file and its directory entry
// are on the disk when this returns.
Status write_file_atomically(const std::string& path, std::string_view bytes, mode_t mode = 0600,
                             IfExists if_exists = IfExists::kReplace);

// A file that does not exist under its name until `commit`. Removes itself when it is not committed.
class AtomicFile {
 public:
  // Makes a temporary file in `directory`, which must outlive this and lie on the same file system as the final place.
  static Result<AtomicFile> create(int directory, mode_t mode = 0600);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  int fd() const { return file_.get(); }
  const std::string& name() const { return temporary_name_; }
  // Flushes the content, gives it its name and flushes the directory. kAlreadyExists under kRefuse.
  Status commit(int final_directory, const std::string& name, IfExists if_exists);

 private:
  AtomicFile(int directory, std::string name, UniqueFd file)
      : directory_(directory), temporary_name_(std::move(name)), file_(std::move(file)) {}
  int directory_;
  std::string temporary_name_;  // empty once committed
  UniqueFd file_;
};

// Gives `from` the name `to`, atomically. kRefuse never replaces an existing `to` (kAlreadyExists). Does not flush.
Status rename_file(int from_directory, const std::string& from, int to_directory, const std::string& to,
                   IfExists if_exists);

// With parents; fine when it is there. New ones get `mode`.
Status make_directory(const std::string& path, mode_t mode = 0700);
Status sync_directory(const std::string& path);

// A directory that is removed with all its content. Under $TMPDIR or /tmp unless `parent` says otherwise.
class TemporaryDirectory {
 public:
  static Result<TemporaryDirectory> create(std::string_view name, const std::string& parent = {});
  TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace bulkhead::process
