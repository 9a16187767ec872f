#include "platform/process/file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "platform/process/errno_error.h"
#include "platform/process/path_safety.h"

namespace bulkhead::process {
namespace {

constexpr std::size_t kChunk = std::size_t{256} * 1024;
constexpr Bytes kNoLimit{std::uint64_t{1} << 62U};  // so that a limit + 1 can't wrap

std::unexpected<Error> too_large(Bytes at_most) {
  return fail(ErrorCode::kPayloadTooLarge, "There is more than " + to_string(at_most) + ".");
}

// Begins with a dot: never a name that path_safety lets input have (PathRules::Hidden::kRefuse).
std::string temporary_name() {
  std::array<char, 12> random{};
  BH_ASSERT(::getrandom(random.data(), random.size(), 0) == static_cast<ssize_t>(random.size()));
  return ".new-" + hex_encode({random.data(), random.size()});
}

Result<UniqueFd> open_directory(const std::string& path) {
  UniqueFd fd(::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "open", path);
  return fd;
}

ssize_t read_some(int fd, char* into, std::size_t size) {
  ssize_t got = -1;
  do {
    got = ::read(fd, into, size);
  } while (got < 0 && errno == EINTR);
  return got;
}

// What copy_file_range answers where it can't work between the two files.
bool can_not_copy_in_kernel(int error) {
  return error == ENOSYS || error == EXDEV || error == EINVAL || error == EOPNOTSUPP || error == EPERM;
}

Result<Bytes> copy_by_hand(int from, int to, Bytes already, Bytes at_most) {
  std::string buffer(kChunk, '\0');
  auto copied = already.value;
  while (true) {
    const auto got = read_some(from, buffer.data(), buffer.size());
    if (got < 0) return fail_errno(errno, "read");
    if (got == 0) return Bytes{copied};
    copied += static_cast<std::uint64_t>(got);
    if (copied > at_most.value) return too_large(at_most);
    BH_TRY_VOID(write_all(to, std::string_view(buffer).substr(0, static_cast<std::size_t>(got))));
  }
}

}  // namespace

Result<UniqueFd> open_for_reading(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return fail_errno(errno, "open", path);
  return fd;
}

Result<UniqueFd> create_new_file(const std::string& path, mode_t mode) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return fail_errno(errno, "create", path);
  return fd;
}

Result<UniqueFd> open_for_appending(const std::string& path, mode_t mode) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, mode));
  if (!fd) return fail_errno(errno, "open", path);
  return fd;
}

Result<Bytes> file_size(int fd) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return fail_errno(errno, "fstat");
  return Bytes{static_cast<std::uint64_t>(info.st_size)};
}

Result<std::string> read_all(int fd, Bytes at_most) {
  at_most = std::min(at_most, kNoLimit);
  BH_TRY(const auto size, file_size(fd));  // 0 for pipes and /proc: then it grows as it comes
  if (size > at_most) return too_large(at_most);
  std::string text(size.value + 1, '\0');
  std::size_t used = 0;
  while (true) {
    const auto got = read_some(fd, text.data() + used, text.size() - used);
    if (got < 0) return fail_errno(errno, "read");
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
    if (used > at_most.value) return too_large(at_most);
    if (used == text.size()) text.resize(std::min<std::uint64_t>(used + kChunk, at_most.value + 1));
  }
  text.resize(used);
  return text;
}

Result<std::string> read_file(const std::string& path, Bytes at_most) {
  BH_TRY(const auto fd, open_for_reading(path));
  return read_all(fd.get(), at_most);
}

Status write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno(errno, "write");
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

Result<Bytes> copy_all(int from, int to, Bytes at_most) {
  at_most = std::min(at_most, kNoLimit);
  std::uint64_t copied = 0;
  while (true) {
    const auto room = std::min<std::uint64_t>(at_most.value - copied + 1, std::uint64_t{64} << 20U);
    const auto got = ::copy_file_range(from, nullptr, to, nullptr, room, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && can_not_copy_in_kernel(errno)) return copy_by_hand(from, to, Bytes{copied}, at_most);
    if (got < 0) return fail_errno(errno, "copy_file_range");
    // Some kernels answer 0 for files whose size they don't know (/proc): reading tells the truth.
    if (got == 0) return copy_by_hand(from, to, Bytes{copied}, at_most);
    copied += static_cast<std::uint64_t>(got);
    if (copied > at_most.value) return too_large(at_most);
  }
}

Status write_file_atomically(const std::string& path, std::string_view bytes, mode_t mode, IfExists if_exists) {
  const auto [parent, name] = split_path(path);
  BH_TRY(const auto directory, open_directory(parent.empty() && path.starts_with('/') ? "/" : std::string(parent)));
  BH_TRY(auto file, AtomicFile::create(directory.get(), mode));
  BH_TRY_VOID(write_all(file.fd(), bytes));
  return file.commit(directory.get(), std::string(name), if_exists);
}

Result<AtomicFile> AtomicFile::create(int directory, mode_t mode) {
  auto name = temporary_name();
  UniqueFd fd(::openat(directory, name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return fail_errno(errno, "create", name);
  return AtomicFile(directory, std::move(name), std::move(fd));
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : directory_(other.directory_),
      temporary_name_(std::exchange(other.temporary_name_, {})),
      file_(std::move(other.file_)) {}

AtomicFile::~AtomicFile() {
  if (!temporary_name_.empty()) ::unlinkat(directory_, temporary_name_.c_str(), 0);
}

Status AtomicFile::commit(int final_directory, const std::string& name, IfExists if_exists) {
  BH_ASSERT(!temporary_name_.empty());
  if (::fsync(file_.get()) != 0) return fail_errno(errno, "fsync", name);
  BH_TRY_VOID(rename_file(directory_, temporary_name_, final_directory, name, if_exists));
  temporary_name_.clear();
  if (::fsync(final_directory) != 0) return fail_errno(errno, "fsync", name);
  return {};
}

Status rename_file(int from_directory, const std::string& from, int to_directory, const std::string& to,
                   IfExists if_exists) {
  const unsigned flags = if_exists == IfExists::kRefuse ? RENAME_NOREPLACE : 0U;
  if (::renameat2(from_directory, from.c_str(), to_directory, to.c_str(), flags) == 0) return {};
  // Some network file systems lack RENAME_NOREPLACE; a hard link refuses an existing name just as well.
  if (flags != 0 && (errno == EINVAL || errno == ENOSYS)) {
    if (::linkat(from_directory, from.c_str(), to_directory, to.c_str(), 0) == 0) {
      ::unlinkat(from_directory, from.c_str(), 0);
      return {};
    }
  }
  return fail_errno(errno, "rename", to);
}

Status make_directory(const std::string& path, mode_t mode) {
  std::size_t end = 0;
  while (end != std::string::npos) {
    end = path.find('/', end + 1);
    const auto part = path.substr(0, end);
    if (::mkdir(part.c_str(), mode) == 0) {
      const auto [parent, name] = split_path(part);
      BH_TRY_VOID(sync_directory(parent.empty() && part.starts_with('/') ? "/" : std::string(parent)));
    } else if (errno != EEXIST) {
      return fail_errno(errno, "mkdir", part);
    }
  }
  BH_TRY(const auto made, open_directory(path));
  return {};
}

Status sync_directory(const std::string& path) {
  BH_TRY(const auto fd, open_directory(path));
  if (::fsync(fd.get()) != 0) return fail_errno(errno, "fsync", path);
  return {};
}

Result<TemporaryDirectory> TemporaryDirectory::create(std::string_view name, const std::string& parent) {
  std::string path = parent;
  if (path.empty()) {
    const char* chosen = std::getenv("TMPDIR");
    path = chosen != nullptr && *chosen != '\0' ? chosen : "/tmp";
  }
  path.append("/").append(name).append(".XXXXXX");
  if (::mkdtemp(path.data()) == nullptr) return fail_errno(errno, "mkdtemp", path);
  return TemporaryDirectory(std::move(path));
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace bulkhead::process
