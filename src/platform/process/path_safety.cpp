#include "platform/process/path_safety.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>

#include "platform/process/errno_error.h"

namespace bulkhead::process {
namespace {

constexpr std::size_t kMaxSegment = 255;  // NAME_MAX
constexpr mode_t kDirectoryMode = 0700;
constexpr int kMostTries = 64;
// Paths we open ourselves (make_directories on a cleaned path, say) may contain hidden names.
constexpr PathRules kOwnRules{.hidden = PathRules::Hidden::kAllow, .max_size = 4095, .max_depth = 256};

std::unexpected<Error> refuse(std::string message) { return fail(ErrorCode::kInvalidPath, std::move(message)); }

// The length of the UTF-8 sequence at the start of `text` (RFC 3629: no surrogates, no overlong forms), 0 when invalid.
std::size_t utf8_sequence(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto in = [&](std::size_t i, unsigned low, unsigned high) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return in(1, 0x80, 0xBF) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return in(1, low, high) && in(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
    return in(1, low, high) && in(2, 0x80, 0xBF) && in(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

Status check_characters(std::string_view path) {
  while (!path.empty()) {
    const auto size = utf8_sequence(path);
    if (size == 0) return refuse("The path is not valid UTF-8.");
    const auto first = static_cast<unsigned char>(path[0]);
    const bool c1_control = size == 2 && first == 0xC2 && static_cast<unsigned char>(path[1]) < 0xA0;
    if (first < 0x20 || first == 0x7F || c1_control) return refuse("The path contains a control character.");
    if (first == '\\') return refuse("The path contains a backslash.");
    path.remove_prefix(size);
  }
  return {};
}

Status check_segment(std::string_view segment, const PathRules& rules) {
  if (segment == "..") return refuse("The path contains a \"..\" segment.");
  if (segment.size() > kMaxSegment) return refuse("A name in the path is longer than 255 bytes.");
  if (rules.hidden == PathRules::Hidden::kRefuse && segment.starts_with('.')) {
    return refuse("A name in the path begins with a dot.");
  }
  return {};
}

// Cuts the first segment off `rest`.
std::string_view next_segment(std::string_view& rest) {
  const auto at = rest.find('/');
  const auto segment = rest.substr(0, at);
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
  return segment;
}

bool is_link(int directory, const std::string& name) {
  struct stat info{};
  return ::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
}

int open_again(int directory, const char* path, int flags, mode_t mode) {
  int fd = -1;
  do {
    fd = ::openat(directory, path, flags, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

}  // namespace

Result<std::string> clean_path(std::string_view path, const PathRules& rules) {
  if (path.size() > rules.max_size) return refuse("The path is too long.");
  if (path.starts_with('/')) return refuse("The path is absolute.");
  BH_TRY_VOID(check_characters(path));
  std::string cleaned;
  std::size_t depth = 0;
  for (auto rest = path; !rest.empty();) {
    const auto segment = next_segment(rest);
    if (segment.empty() || segment == ".") continue;
    BH_TRY_VOID(check_segment(segment, rules));
    if (++depth > rules.max_depth) return refuse("The path has too many segments.");
    if (!cleaned.empty()) cleaned += '/';
    cleaned += segment;
  }
  if (cleaned.empty()) return refuse("The path is empty.");
  return cleaned;
}

Status check_path(std::string_view path, const PathRules& rules) {
  BH_TRY(const auto cleaned, clean_path(path, rules));
  if (cleaned != path) return refuse("The path has an empty or \".\" segment.");
  return {};
}

SplitPath split_path(std::string_view path) {
  const auto at = path.rfind('/');
  if (at == std::string_view::npos) return {.parent = {}, .name = path};
  return {.parent = path.substr(0, at), .name = path.substr(at + 1)};
}

Result<Root> Root::open(const std::string& directory, Resolver resolver) {
  UniqueFd fd(open_again(AT_FDCWD, directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "open", directory);
  return Root(std::move(fd), resolver);
}

Result<UniqueFd> Root::open_beneath(std::string_view path, int flags, mode_t mode) const {
  BH_TRY_VOID(check_path(path, kOwnRules));
  flags |= O_CLOEXEC | O_NOFOLLOW | O_NOCTTY;
  if (resolver_ == Resolver::kWalk) return walk(path, flags, mode);
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const std::string text(path);
  long fd = -1;
  // EAGAIN: something was renamed during the walk, and the kernel could not prove that it stayed beneath.
  for (int tries = 0; tries < kMostTries; ++tries) {
    fd = ::syscall(SYS_openat2, directory_.get(), text.c_str(), &how, sizeof how);
    if (fd >= 0 || (errno != EINTR && errno != EAGAIN)) break;
  }
  if (fd >= 0) return UniqueFd(static_cast<int>(fd));
  // ENOSYS: older than Linux 5.6. EPERM: what container sandboxes answer for system calls they don't know. ENOTDIR: a
  // link or a file where a directory should be; the walk tells which.
  if (errno == ENOSYS || errno == EPERM || errno == ENOTDIR) return walk(path, flags, mode);
  return fail_errno(errno, "open", path);
}

Result<UniqueFd> Root::walk(std::string_view path, int flags, mode_t mode) const {
  const auto [parent, name] = split_path(path);
  UniqueFd held;
  int at = directory_.get();
  for (auto rest = parent; !rest.empty();) {
    const std::string segment(next_segment(rest));
    UniqueFd next(open_again(at, segment.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0));
    if (!next) {
      if (errno == ENOTDIR && is_link(at, segment)) return refuse("The path leads through a link.");
      if (errno == ENOTDIR) return fail(ErrorCode::kNotFound, {}, "open: a parent is not a directory");
      return fail_errno(errno, "open", path);
    }
    held = std::move(next);
    at = held.get();
  }
  const std::string last(name);
  UniqueFd fd(open_again(at, last.c_str(), flags, mode));
  if (fd) return fd;
  const int error = errno;
  if ((error == ENOTDIR || error == ELOOP) && is_link(at, last)) return refuse("The path is a link.");
  if (error == ENOTDIR) return fail(ErrorCode::kNotFound, {}, "open: not a directory");
  return fail_errno(error, "open", path);
}

Result<UniqueFd> Root::open_file(std::string_view path, int flags, mode_t mode) const {
  // O_NONBLOCK so that a fifo or a device that lies there can't hold us; regular files ignore it.
  BH_TRY(auto fd, open_beneath(path, flags | O_NONBLOCK, mode));
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(errno, "fstat", path);
  if (!S_ISREG(info.st_mode)) return refuse("The path is not a file.");
  return fd;
}

Result<UniqueFd> Root::open_directory(std::string_view path) const {
  if (path.empty()) {
    UniqueFd fd(open_again(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
    if (!fd) return fail_errno(errno, "open", ".");
    return fd;
  }
  return open_beneath(path, O_RDONLY | O_DIRECTORY, 0);
}

Status Root::make_directories(std::string_view path) const {
  if (path.empty()) return {};
  BH_TRY_VOID(check_path(path, kOwnRules));
  if (open_beneath(path, O_RDONLY | O_DIRECTORY, 0)) return {};
  std::size_t end = 0;
  while (end != std::string_view::npos) {
    end = path.find('/', end + 1);
    const auto [parent, name] = split_path(path.substr(0, end));
    BH_TRY(const auto at, open_directory(parent));
    const std::string last(name);
    if (::mkdirat(at.get(), last.c_str(), kDirectoryMode) == 0) {
      if (::fsync(at.get()) != 0) return fail_errno(errno, "fsync", parent);
    } else if (errno != EEXIST) {
      return fail_errno(errno, "mkdir", path);
    }
  }
  BH_TRY(const auto made, open_directory(path));
  return {};
}

Status Root::remove_file(std::string_view path) const {
  BH_TRY_VOID(check_path(path, kOwnRules));
  const auto [parent, name] = split_path(path);
  BH_TRY(const auto at, open_directory(parent));
  const std::string last(name);
  if (::unlinkat(at.get(), last.c_str(), 0) != 0) return fail_errno(errno, "unlink", path);
  return {};
}

}  // namespace bulkhead::process
