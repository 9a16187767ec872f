#include "runner/sandbox_layers.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace bulkhead::runner {
namespace {

std::string errno_text() { return std::strerror(errno); }

void add(SandboxLayers& layers, std::string name, bool active, std::string reason) {
  layers.push_back({.layer = std::move(name), .active = active, .reason = std::move(reason)});
}

void close_other_descriptors(SandboxLayers& layers, std::vector<int> kept) {
  kept.push_back(STDERR_FILENO);
  std::ranges::sort(kept);
  unsigned from = 0;
  bool good = true;
  for (const int fd : kept) {
    const auto number = static_cast<unsigned>(fd);
    if (number > from) good = ::syscall(SYS_close_range, from, number - 1, 0U) == 0 && good;
    from = std::max(from, number + 1);
  }
  good = ::syscall(SYS_close_range, from, ~0U, 0U) == 0 && good;
  add(layers, "descriptors", good, good ? "nothing inherited is open but what it works on" : errno_text());
  // Descriptors 0 and 1 stay taken, so that no socket ever becomes somebody's standard output.
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO}) {
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR | O_CLOEXEC) != fd) return;
  }
}

void limit_resources(SandboxLayers& layers) {
  const struct {
    int resource;
    rlim_t most;
  } limits[] = {
      {RLIMIT_CORE, 0},  // a core file holds tenants' memory
      {RLIMIT_NOFILE, 4'096},
      {RLIMIT_MEMLOCK, 0},
      {RLIMIT_MSGQUEUE, 0},
  };
  bool good = true;
  for (const auto& [resource, most] : limits) {
    rlimit now{};
    ::getrlimit(static_cast<__rlimit_resource_t>(resource), &now);
    const rlimit wanted{.rlim_cur = std::min(now.rlim_cur, most), .rlim_max = std::min(now.rlim_max, most)};
    good = ::setrlimit(static_cast<__rlimit_resource_t>(resource), &wanted) == 0 && good;
  }
  add(layers, "rlimits", good, good ? "core 0, nofile 4096, memlock 0" : errno_text());
}

bool write_text(const char* path, std::string_view text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

bool become(const SandboxIdentity& identity) {
  return ::setgroups(0, nullptr) == 0 && ::setresgid(identity.gid, identity.gid, identity.gid) == 0 &&
         ::setresuid(identity.uid, identity.uid, identity.uid) == 0;
}

void change_identity(SandboxLayers& layers, const SandboxIdentity& identity) {
  if (::geteuid() != 0) {
    add(layers, "identity", true, "started as user " + std::to_string(::geteuid()));
    return;
  }
  int parent_death_signal = 0;
  ::prctl(PR_GET_PDEATHSIG, &parent_death_signal, 0, 0, 0);
  const bool changed = become(identity);
  add(layers, "identity", changed, changed ? "user " + std::to_string(identity.uid) : errno_text());
  // The kernel forgets the signal when the identity changes, and makes /proc/self root's.
  if (parent_death_signal != 0) ::prctl(PR_SET_PDEATHSIG, parent_death_signal, 0, 0, 0);
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

// Whether `identity` may make user namespaces. Tried in a child, because there is no way back from trying.
bool may_have_user_namespace(const SandboxIdentity& identity) {
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0) ::_exit((::geteuid() != 0 || become(identity)) && ::unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
  int status = 1;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status == 0;
}

// Inherited sockets go on working: they belong to the network that they were made in.
constexpr int kOwnNamespaces = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWCGROUP;

void report_namespaces(SandboxLayers& layers, bool active, const std::string& why_not) {
  add(layers, "network_namespace", active, active ? "nothing in it, not even a loopback that is up" : why_not);
  add(layers, "mount_namespace", active, active ? "" : why_not);
  add(layers, "ipc_namespace", active, active ? "ipc, host name, cgroup names" : why_not);
}

// As an ordinary user: what is done in the new namespaces is done with rights that end at them.
bool leave_with_user_namespace(SandboxLayers& layers) {
  const std::string uid = std::to_string(::getuid());
  const std::string gid = std::to_string(::getgid());
  const bool left = ::unshare(CLONE_NEWUSER | kOwnNamespaces) == 0;
  const std::string why_not = left ? "" : "unshare: " + errno_text();
  report_namespaces(layers, left, why_not);
  if (!left) {
    add(layers, "user_namespace", false, why_not);
    return false;
  }
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  const bool mapped = write_text("/proc/self/setgroups", "deny") &&
                      write_text("/proc/self/uid_map", uid + " " + uid + " 1") &&
                      write_text("/proc/self/gid_map", gid + " " + gid + " 1");
  const bool last = write_text("/proc/sys/user/max_user_namespaces", "0");
  add(layers, "user_namespace", mapped,
      mapped ? "its own ids only" + std::string(last ? ", and no further ones" : "") : "map ids: " + errno_text());
  return true;
}

// As root, where users may not have namespaces.
bool leave_as_root(SandboxLayers& layers) {
  const bool left = ::geteuid() == 0 && ::unshare(kOwnNamespaces) == 0;
  report_namespaces(layers, left, left ? "" : "unshare: " + errno_text());
  add(layers, "user_namespace", false, "not allowed to ordinary users on this machine");
  return left;
}

void report_what_the_parent_gave(SandboxLayers& layers) {
  const bool own_pids = ::getpid() == 1;
  add(layers, "pid_namespace", own_pids,
      own_pids ? "process 1 of its own" : "the process that started this one could not give it one");
  add(layers, "cgroup", false,
      ::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? "in the group of the process that started it"
                                                               : "cgroup v2 is not mounted");
}

// The two files that the engine reads when it is made: its slots' dirty pages, and how many mappings it may have.
constexpr const char* kEngineFiles[] = {"/proc/self/pagemap", "/proc/sys/vm/max_map_count"};

// Makes `under`/`path` the file `path`, for this mount namespace only. Without them the engine works too, only slower:
// a failure is none of the sandbox's.
void bind_file(const std::string& under, const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    ::mkdir((under + path.substr(0, slash)).c_str(), 0755);
  }
  const std::string place = under + path;
  const int made = ::open(place.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0444);
  if (made >= 0) ::close(made);
  static_cast<void>(::mount(path.c_str(), place.c_str(), nullptr, MS_BIND, nullptr));
}

// A read-only root with nothing but those files: what stat(2) could still tell about paths, nothing can.
void empty_root(SandboxLayers& layers) {
  const std::string root = "/tmp";  // any directory but /proc will do: in our mount namespace only we see it
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  bool good = ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
              ::mount("none", root.c_str(), "tmpfs", kFlags, "size=64k,mode=755") == 0;
  for (const char* file : kEngineFiles) {
    if (good) bind_file(root, file);
  }
  good = good && ::mount(nullptr, root.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kFlags, nullptr) == 0 &&
         ::chdir(root.c_str()) == 0 && ::syscall(SYS_pivot_root, ".", ".") == 0 && ::umount2(".", MNT_DETACH) == 0 &&
         ::chdir("/") == 0;
  add(layers, "empty_root", good, good ? "no files but the two that the engine reads" : errno_text());
}

// The ones that no program may ever gain, while we still have the right to say so.
bool empty_bounding_set() {
  bool good = true;
  for (int capability = 0; capability <= 63; ++capability) {
    if (::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) != 1) continue;
    good = ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0 && good;
  }
  return good;
}

// Root still has its identity to change, and loses what it holds with it. Everybody else is done with them here, before
// there are threads: in a user namespace of its own even an ordinary user holds all of them.
void drop_capabilities(SandboxLayers& layers) {
  const bool none_to_gain = empty_bounding_set();
  if (::geteuid() == 0) {
    add(layers, "capabilities", none_to_gain, "none to gain; those held go with the identity");
    return;
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct none[2] = {};
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  const bool good = ::syscall(SYS_capset, &header, none) == 0;
  const char* held = none_to_gain ? "none, and none to gain" : "none; the bounding set is not ours to change";
  add(layers, "capabilities", good, good ? held : errno_text());
}

// Rights of later ABIs are named by number: Debian 12's headers are of Linux 6.1.
struct LandlockRules {
  std::uint64_t files = 0;
  std::uint64_t network = 0;  // ABI 4: bind and connect of TCP
  std::uint64_t scopes = 0;   // ABI 6: abstract Unix sockets and signals outside of the domain
};

// A domain in which the calling thread, and every one that it starts, may read `readable` and nothing else. The ABI, or
// 0 and errno.
long enter_landlock(std::span<const char* const> readable) {
  constexpr std::uint64_t kRightsByAbi[] = {0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff};  // ABI 1, 2, 3, 4, 5
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) return 0;
  LandlockRules rules{.files = kRightsByAbi[std::min<long>(abi, 5) - 1]};
  if (abi >= 4) rules.network = 3;
  if (abi >= 6) rules.scopes = 3;
  const std::size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  const long made = ::syscall(SYS_landlock_create_ruleset, &rules, size, 0);
  if (made < 0) return 0;
  const auto ruleset = static_cast<int>(made);
  for (const char* path : readable) {
    const int file = ::open(path, O_PATH | O_CLOEXEC);
    if (file < 0) continue;
    const landlock_path_beneath_attr rule{.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE, .parent_fd = file};
    static_cast<void>(::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0));
    ::close(file);
  }
  const bool entered = ::syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
  const int error = errno;
  ::close(ruleset);
  errno = error;
  return entered ? abi : 0;
}

void confine_to_engine_files(SandboxLayers& layers) {
  const long abi = enter_landlock(kEngineFiles);
  add(layers, "landlock", abi > 0,
      abi > 0 ? "all threads: no files but the two that the engine reads; ABI " + std::to_string(abi) : errno_text());
}

// Processes count against the user; threads do too.
void bound_processes(SandboxLayers& layers, SandboxRole role) {
  constexpr rlim_t kCompilerThreads = 128;  // one per core
  const rlim_t most = role == SandboxRole::kCompiler ? kCompilerThreads : 0;
  const rlimit limit{.rlim_cur = most, .rlim_max = most};
  const bool good = ::setrlimit(RLIMIT_NPROC, &limit) == 0;
  add(layers, "nproc", good, good ? (most == 0 ? "no more processes or threads" : "its threads") : errno_text());
}

}  // namespace

SandboxLayers drop_privileges(const std::vector<int>& kept_fds, const SandboxIdentity& identity) {
  SandboxLayers layers;
  close_other_descriptors(layers, kept_fds);
  limit_resources(layers);
  report_what_the_parent_gave(layers);
  bool left = false;
  if (may_have_user_namespace(identity)) {
    if (::geteuid() == 0) static_cast<void>(empty_bounding_set());
    change_identity(layers, identity);
    left = leave_with_user_namespace(layers);
  } else {
    left = leave_as_root(layers);
  }
  if (left) {
    empty_root(layers);
  } else {
    add(layers, "empty_root", false, "needs a mount namespace");
  }
  drop_capabilities(layers);
  const bool no_new = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  add(layers, "no_new_privs", no_new, no_new ? "" : errno_text());
  confine_to_engine_files(layers);
  return layers;
}

void seal_process(SandboxLayers& layers, const SandboxIdentity& identity, SandboxRole role) {
  // libc changes all threads; the kernel takes each one's capabilities away with user 0.
  if (std::ranges::find(layers, "identity", &SandboxLayer::layer) == layers.end()) change_identity(layers, identity);
  const bool hidden = ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
  add(layers, "not_dumpable", hidden, hidden ? "no ptrace, no core" : errno_text());
  bound_processes(layers, role);
  // The thread that runs guests, or starts the threads that compile, needs not even those two any more.
  static_cast<void>(enter_landlock({}));
}

}  // namespace bulkhead::runner
