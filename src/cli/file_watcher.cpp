#include "cli/file_watcher.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "platform/process/file.h"

namespace bulkhead::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kEvents =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR | IN_EXCL_UNLINK;
constexpr Bytes kMaxHashedFile = 64_MiB;

bool counts(std::string_view name) {
  return !name.empty() && !name.starts_with('.') && name != "dist" && name != "node_modules" && name != "target" &&
         !name.ends_with(".tar.zst") && !name.ends_with('~');
}

// Calls `visit` for every folder and file below that counts; links are not followed.
template <typename Visit>
Status walk(const std::string& folder, Visit visit) {
  std::error_code problem;
  fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, problem);
  for (; !problem && at != fs::recursive_directory_iterator(); at.increment(problem)) {
    const bool is_folder = at->symlink_status().type() == fs::file_type::directory;
    if (!counts(at->path().filename().string())) {
      if (is_folder) at.disable_recursion_pending();
      continue;
    }
    BH_TRY_VOID(visit(at->path().string(), is_folder));
  }
  // A folder that went away while it was read is found out by its own event.
  if (problem && problem != std::errc::no_such_file_or_directory) {
    return fail(ErrorCode::kInternal, folder + " can't be read.", problem.message());
  }
  return {};
}

}  // namespace

Result<FileWatcher> FileWatcher::watch(const std::string& folder) {
  process::UniqueFd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify) return fail(ErrorCode::kInternal, "Files can't be watched.", std::generic_category().message(errno));
  FileWatcher watcher(std::move(inotify));
  BH_TRY_VOID(watcher.add(folder));
  return watcher;
}

Status FileWatcher::add(const std::string& folder) {
  const int watch = ::inotify_add_watch(inotify_.get(), folder.c_str(), kEvents);
  if (watch < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return fail(ErrorCode::kInternal, folder + " can't be watched.", std::generic_category().message(errno));
  }
  folders_[watch] = folder;
  return walk(folder, [this](const std::string& path, bool is_folder) -> Status {
    if (!is_folder) return {};
    const int below = ::inotify_add_watch(inotify_.get(), path.c_str(), kEvents);
    if (below >= 0) folders_[below] = path;
    if (below < 0 && errno == ENOSPC) {
      return fail(ErrorCode::kInternal, "There are too many folders to watch: raise fs.inotify.max_user_watches.");
    }
    return {};
  });
}

Result<bool> FileWatcher::take_changes() {
  alignas(inotify_event) std::array<char, 16 * 1024> buffer{};
  bool changed = false;
  for (;;) {
    const ssize_t size = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return changed;
    for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const char* name = buffer.data() + at + sizeof event;
      at += sizeof event + event.len;
      if ((event.mask & IN_Q_OVERFLOW) != 0) changed = true;
      if ((event.mask & IN_IGNORED) != 0) folders_.erase(event.wd);
      if (event.len == 0 || !counts(name)) continue;
      changed = true;
      const auto parent = folders_.find(event.wd);
      const bool new_folder = (event.mask & IN_ISDIR) != 0 && (event.mask & (IN_CREATE | IN_MOVED_TO)) != 0;
      if (new_folder && parent != folders_.end()) BH_TRY_VOID(add((fs::path(parent->second) / name).string()));
    }
  }
}

Result<Sha256Digest> folder_digest(const std::string& folder) {
  std::vector<std::string> files;
  BH_TRY_VOID(walk(folder, [&files](const std::string& path, bool is_folder) -> Status {
    if (!is_folder) files.push_back(path);
    return {};
  }));
  std::ranges::sort(files);
  Sha256 digest;
  for (const std::string& path : files) {
    // What is gone again, or no plain file, counts by its name alone.
    const auto text = process::read_file(path, kMaxHashedFile);
    const Sha256Digest content = sha256(text ? *text : std::string());
    digest.update(path);
    digest.update({reinterpret_cast<const char*>(content.data()), content.size()});
  }
  return digest.finish();
}

}  // namespace bulkhead::cli
