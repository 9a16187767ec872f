#include "platform/blob/fs_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>

#include "platform/blob/blob_key.h"
#include "platform/blob/stores.h"
#include "platform/process/errno_error.h"
#include "platform/process/file.h"

namespace bulkhead::blob {
namespace {

using process::IfExists;
using process::UniqueFd;

constexpr mode_t kBlobMode = 0444;
constexpr const char* kIncoming = ".incoming";
constexpr std::time_t kAbandonedSeconds = 24 * 3600;
// A parent directory may be removed (its last blob went) between making it and renaming into it.
constexpr int kMostTries = 16;
constexpr std::size_t kCompareChunk = std::size_t{64} * 1024;

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

struct Entry {
  std::string name;  // of a directory: with a trailing slash, so that sorting gives the order of whole keys
  bool is_directory() const { return name.back() == '/'; }
};

// Files and directories, without hidden names, sorted.
Result<std::vector<Entry>> read_entries(UniqueFd fd) {
  const Directory directory(::fdopendir(fd.get()));
  if (!directory) return process::fail_errno(errno, "fdopendir");
  const int at = fd.release();  // closedir closes it
  std::vector<Entry> entries;
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    std::string name(static_cast<const char*>(entry->d_name));
    if (name.starts_with('.')) continue;
    struct stat info{};
    if (::fstatat(at, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone meanwhile
    if (S_ISDIR(info.st_mode)) name += '/';
    if (S_ISDIR(info.st_mode) || S_ISREG(info.st_mode)) entries.push_back({std::move(name)});
    errno = 0;
  }
  if (errno != 0) return process::fail_errno(errno, "readdir");
  std::ranges::sort(entries, {}, &Entry::name);
  return entries;
}

Status list_below(const process::Root& root, const std::string& directory, std::string_view prefix, std::size_t at_most,
                  std::vector<std::string>& keys) {
  auto fd = root.open_directory(directory);
  if (!fd && fd.error().code == ErrorCode::kNotFound) return {};
  if (!fd) return fail(std::move(fd.error()));
  BH_TRY(const auto entries, read_entries(std::move(*fd)));
  for (const auto& entry : entries) {
    if (keys.size() >= at_most) return {};
    auto path = directory.empty() ? entry.name : directory + "/" + entry.name;
    if (!entry.is_directory()) {
      if (path.starts_with(prefix)) keys.push_back(std::move(path));
    } else if (path.starts_with(prefix) || prefix.starts_with(path)) {
      path.pop_back();
      BH_TRY_VOID(list_below(root, path, prefix, at_most, keys));
    }
  }
  return {};
}

Result<bool> equal_files(int a, int b) {
  BH_TRY(const auto size_a, process::file_size(a));
  BH_TRY(const auto size_b, process::file_size(b));
  if (size_a != size_b) return false;
  std::string left(kCompareChunk, '\0');
  std::string right(kCompareChunk, '\0');
  for (std::uint64_t at = 0; at < size_a.value;) {
    const auto got = ::pread(a, left.data(), left.size(), static_cast<off_t>(at));
    if (got <= 0) return process::fail_errno(got < 0 ? errno : EIO, "read");
    const auto same = ::pread(b, right.data(), static_cast<std::size_t>(got), static_cast<off_t>(at));
    if (same != got) return process::fail_errno(same < 0 ? errno : EIO, "read");
    const auto count = static_cast<std::size_t>(got);
    if (std::string_view(left).substr(0, count) != std::string_view(right).substr(0, count)) return false;
    at += count;
  }
  return true;
}

}  // namespace

Result<FsBlobs> FsBlobs::open(const std::string& path) {
  BH_TRY_VOID(process::make_directory(path));
  BH_TRY(auto root, process::Root::open(path));
  BH_TRY_VOID(root.make_directories(kIncoming));
  BH_TRY(auto incoming, root.open_directory(kIncoming));
  FsBlobs blobs(std::move(root), std::move(incoming));
  blobs.remove_abandoned();
  return blobs;
}

Status FsBlobs::put(const std::string& key, std::string_view bytes) const {
  BH_TRY_VOID(check_key(key));
  BH_TRY(auto file, process::AtomicFile::create(incoming_.get(), kBlobMode));
  BH_TRY_VOID(process::write_all(file.fd(), bytes));
  if (::fsync(file.fd()) != 0) return process::fail_errno(errno, "fsync", key);
  return publish(incoming_.get(), file.name(), key);
}

Status FsBlobs::put_file(const std::string& key, const std::string& path) const {
  BH_TRY_VOID(check_key(key));
  BH_TRY(const auto source, process::open_for_reading(path));
  if (::fchmod(source.get(), kBlobMode) == 0 && ::fsync(source.get()) == 0) {
    auto moved = publish(AT_FDCWD, path, key);
    // EXDEV, which reads as kInvalidPath: it lies on another file system and has to be copied.
    if (moved || moved.error().code != ErrorCode::kInvalidPath) return moved;
  }
  BH_TRY(auto file, process::AtomicFile::create(incoming_.get(), kBlobMode));
  BH_TRY(const auto size, process::file_size(source.get()));
  BH_TRY(const auto copied, process::copy_all(source.get(), file.fd(), size));
  if (copied != size) return fail(ErrorCode::kInternal, {}, "the file changed while it was copied");
  if (::fsync(file.fd()) != 0) return process::fail_errno(errno, "fsync", key);
  return publish(incoming_.get(), file.name(), key);
}

Status FsBlobs::publish(int directory, const std::string& name, const std::string& key) const {
  const auto [parent, last] = process::split_path(key);
  const std::string final_name(last);
  for (int tries = 1;; ++tries) {
    auto made = root_.make_directories(parent);
    auto place = made ? root_.open_directory(parent) : Result<UniqueFd>(fail(std::move(made.error())));
    auto renamed = place ? process::rename_file(directory, name, place->get(), final_name, IfExists::kRefuse)
                         : Status(fail(std::move(place.error())));
    if (!renamed && renamed.error().code == ErrorCode::kNotFound && tries < kMostTries) continue;
    if (!renamed && renamed.error().code == ErrorCode::kAlreadyExists) {
      const UniqueFd candidate(::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC));
      if (!candidate) return process::fail_errno(errno, "open", name);
      auto same = same_content(key, candidate.get());
      if (!same && same.error().code == ErrorCode::kNotFound && tries < kMostTries) continue;  // removed meanwhile
      renamed = std::move(same);
    }
    if (!renamed && renamed.error().code == ErrorCode::kNotFound) {
      return fail(ErrorCode::kInvalidPath, "A name within the key belongs to a blob.", key);
    }
    if (!renamed) return renamed;
    // Also when another writer of the same blob was faster: its directory entry may not be on the disk yet.
    if (::fsync(place->get()) != 0) return process::fail_errno(errno, "fsync", parent);
    return {};
  }
}

Status FsBlobs::same_content(const std::string& key, int candidate) const {
  BH_TRY(const auto existing, open_blob(key));
  BH_TRY(const auto equal, equal_files(existing.get(), candidate));
  if (!equal) return fail(ErrorCode::kAlreadyExists, "A blob of that name with other content exists.", key);
  return {};
}

Result<UniqueFd> FsBlobs::open_blob(const std::string& key) const {
  BH_TRY_VOID(check_key(key));
  auto fd = root_.open_file(key, O_RDONLY);
  if (!fd && fd.error().code == ErrorCode::kNotFound) return fail(ErrorCode::kNotFound, "There is no such blob.", key);
  return fd;
}

Result<std::string> FsBlobs::get(const std::string& key, Bytes at_most) const {
  BH_TRY(const auto fd, open_blob(key));
  return process::read_all(fd.get(), at_most);
}

Status FsBlobs::get_to_file(const std::string& key, const std::string& path, Bytes at_most) const {
  BH_TRY(const auto fd, open_blob(key));
  BH_TRY(const auto file, process::create_new_file(path));
  auto copied = process::copy_all(fd.get(), file.get(), at_most);
  if (copied) return {};
  ::unlink(path.c_str());
  return fail(std::move(copied.error()));
}

Result<Info> FsBlobs::info(const std::string& key) const {
  BH_TRY(const auto fd, open_blob(key));
  BH_TRY(const auto size, process::file_size(fd.get()));
  return Info{.size = size};
}

Status FsBlobs::remove(const std::string& key) const {
  BH_TRY_VOID(check_key(key));
  auto removed = root_.remove_file(key);
  if (!removed && removed.error().code != ErrorCode::kNotFound) return removed;
  remove_empty_parents(key);
  return {};
}

void FsBlobs::remove_empty_parents(std::string_view key) const {
  for (auto path = process::split_path(key).parent; !path.empty(); path = process::split_path(path).parent) {
    const auto [parent, name] = process::split_path(path);
    const auto at = root_.open_directory(parent);
    if (!at || ::unlinkat(at->get(), std::string(name).c_str(), AT_REMOVEDIR) != 0) return;  // not empty: the usual end
  }
}

Result<std::vector<std::string>> FsBlobs::list(const std::string& prefix, std::size_t at_most) const {
  BH_TRY_VOID(check_prefix(prefix));
  std::vector<std::string> keys;
  BH_TRY_VOID(list_below(root_, std::string(process::split_path(prefix).parent), prefix, at_most, keys));
  return keys;
}

Status FsBlobs::check() const {
  struct stat info{};
  struct statvfs space{};
  if (::fstat(root_.fd(), &info) != 0 || ::fstatvfs(root_.fd(), &space) != 0) return process::fail_errno(errno, "stat");
  if (info.st_nlink == 0) return fail(ErrorCode::kBlobUnavailable, {}, "the root directory was deleted");
  if (space.f_bavail == 0) return fail(ErrorCode::kStorageFull);
  return {};
}

void FsBlobs::remove_abandoned() const {
  UniqueFd fd(::openat(incoming_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Directory directory(::fdopendir(fd.get()));
  if (!directory) return;
  static_cast<void>(fd.release());
  const auto now = ::time(nullptr);  // compared with the disk's own times
  while (const dirent* entry = ::readdir(directory.get())) {
    struct stat info{};
    const char* name = static_cast<const char*>(entry->d_name);
    if (::fstatat(incoming_.get(), name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) continue;
    if (now - info.st_mtime > kAbandonedSeconds) ::unlinkat(incoming_.get(), name, 0);
  }
}

namespace {

// What the disk itself could not do (EIO, a stale mount, missing rights) is the operator's to mend, and the store's to
// survive.
template <typename R>
R as_blob_result(R result) {
  if (!result && result.error().code == ErrorCode::kInternal) {
    return fail_because(ErrorCode::kBlobUnavailable, {}, std::move(result.error()));
  }
  return result;
}

class FsStore final : public Store {
 public:
  FsStore(FsBlobs blobs, const FsOptions& options) : blobs_(std::move(blobs)), pool_(options.threads, options.queue) {}

  Task<Status> put(std::string key, std::string bytes) override {
    co_return co_await pool_.run(
        [this, key = std::move(key), bytes = std::move(bytes)] { return as_blob_result(blobs_.put(key, bytes)); });
  }
  Task<Status> put_file(std::string key, std::string path) override {
    co_return co_await pool_.run(
        [this, key = std::move(key), path = std::move(path)] { return as_blob_result(blobs_.put_file(key, path)); });
  }
  Task<Result<std::string>> get(std::string key, Bytes at_most) override {
    co_return co_await pool_.run(
        [this, key = std::move(key), at_most] { return as_blob_result(blobs_.get(key, at_most)); });
  }
  Task<Status> get_to_file(std::string key, std::string path, Bytes at_most) override {
    co_return co_await pool_.run([this, key = std::move(key), path = std::move(path), at_most] {
      return as_blob_result(blobs_.get_to_file(key, path, at_most));
    });
  }
  Task<Result<Info>> info(std::string key) override {
    co_return co_await pool_.run([this, key = std::move(key)] { return as_blob_result(blobs_.info(key)); });
  }
  Task<Status> remove(std::string key) override {
    co_return co_await pool_.run([this, key = std::move(key)] { return as_blob_result(blobs_.remove(key)); });
  }
  Task<Result<std::vector<std::string>>> list(std::string prefix, std::size_t at_most) override {
    co_return co_await pool_.run(
        [this, prefix = std::move(prefix), at_most] { return as_blob_result(blobs_.list(prefix, at_most)); });
  }
  Task<Status> check() override {
    co_return co_await pool_.run([this] { return as_blob_result(blobs_.check()); });
  }

 private:
  FsBlobs blobs_;
  ThreadPool pool_;  // last: its threads end before the rest goes
};

}  // namespace

Result<std::unique_ptr<Store>> make_fs_store(const FsOptions& options) {
  BH_TRY(auto blobs, FsBlobs::open(options.root));
  return std::make_unique<FsStore>(std::move(blobs), options);
}

}  // namespace bulkhead::blob
