#include "runner/sandbox_layers.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "protocol/json_text.h"

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
  add(layers, "descriptors", good, good ? "only the inherited sockets are open" : errno_text());
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

void write_text(const char* path, std::string_view text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  static_cast<void>(::write(fd, text.data(), text.size()) < 0);
  ::close(fd);
}

// Own network (with nothing in it, not even a loopback that is up), IPC, host name and mounts. Inherited sockets go on
// working: they belong to the namespace that they were made in.
bool leave_namespaces(SandboxLayers& layers) {
  const uid_t uid = ::getuid();
  const gid_t gid = ::getgid();
  constexpr int kOwn = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWCGROUP;
  if (::unshare(kOwn) == 0) {
    add(layers, "namespaces", true, "network, ipc, uts, mount, cgroup");
    return true;
  }
  if (::unshare(CLONE_NEWUSER | kOwn) != 0) {
    add(layers, "namespaces", false, "unshare: " + errno_text());
    return false;
  }
  write_text("/proc/self/setgroups", "deny");
  write_text("/proc/self/uid_map", std::to_string(uid) + " " + std::to_string(uid) + " 1");
  write_text("/proc/self/gid_map", std::to_string(gid) + " " + std::to_string(gid) + " 1");
  add(layers, "namespaces", true, "user, network, ipc, uts, mount, cgroup");
  return true;
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

void change_identity(SandboxLayers& layers, const SandboxIdentity& identity) {
  if (::geteuid() != 0) {
    add(layers, "identity", true, "started as user " + std::to_string(::geteuid()));
    return;
  }
  int parent_death_signal = 0;
  ::prctl(PR_GET_PDEATHSIG, &parent_death_signal, 0, 0, 0);
  const bool changed = ::setgroups(0, nullptr) == 0 && ::setresgid(identity.gid, identity.gid, identity.gid) == 0 &&
                       ::setresuid(identity.uid, identity.uid, identity.uid) == 0;
  // The kernel forgets it when the identity changes.
  if (parent_death_signal != 0) ::prctl(PR_SET_PDEATHSIG, parent_death_signal, 0, 0, 0);
  add(layers, "identity", changed, changed ? "user " + std::to_string(identity.uid) : errno_text());
}

// Processes count against the user; threads do too, so this comes after they have been started.
void forbid_processes(SandboxLayers& layers) {
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  const bool good = ::setrlimit(RLIMIT_NPROC, &none) == 0;
  add(layers, "nproc", good, good ? "no more processes or threads" : errno_text());
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

// The ones we hold: in a user namespace of its own even an ordinary user holds all of them.
void drop_capabilities(SandboxLayers& layers, bool bounding_set_is_empty) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct none[2] = {};
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  const bool good = ::syscall(SYS_capset, &header, none) == 0;
  const char* held = bounding_set_is_empty ? "none, and none to gain" : "none; the bounding set is not ours to change";
  add(layers, "capabilities", good, good ? held : errno_text());
}

// No path can be opened any more, whoever we are. Rights of later ABIs are named by number: Debian 12's headers are of
// Linux 6.1.
void forbid_files(SandboxLayers& layers) {
  constexpr std::uint64_t kRightsByAbi[] = {0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff};  // ABI 1, 2, 3, 4, 5
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) {
    add(layers, "landlock", false, "not in this kernel: " + errno_text());
    return;
  }
  struct {
    std::uint64_t files = 0;
    std::uint64_t network = 0;  // ABI 4: bind and connect of TCP
    std::uint64_t scopes = 0;   // ABI 6: abstract Unix sockets and signals outside of the domain
  } rules;
  rules.files = kRightsByAbi[std::min<long>(abi, 5) - 1];
  if (abi >= 4) rules.network = 3;
  if (abi >= 6) rules.scopes = 3;
  const std::size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  const long ruleset = ::syscall(SYS_landlock_create_ruleset, &rules, size, 0);
  const bool good = ruleset >= 0 && ::syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
  const std::string reason =
      good ? "no files for the thread that runs guests, ABI " + std::to_string(abi) : errno_text();
  if (ruleset >= 0) ::close(static_cast<int>(ruleset));
  add(layers, "landlock", good, reason);
}

// What the event loop, the thread pool, the log and Wasmtime (mapping machine code from memfds, resetting slots) need.
// Anything else that exists only to reach outside ends the process: it means that a guest got out.
constexpr int kAllowed[] = {SCMP_SYS(accept4),
                            SCMP_SYS(brk),
                            SCMP_SYS(clock_gettime),
                            SCMP_SYS(clock_nanosleep),
                            SCMP_SYS(close),
                            SCMP_SYS(dup),
                            SCMP_SYS(epoll_create1),
                            SCMP_SYS(epoll_ctl),
                            SCMP_SYS(epoll_pwait),
                            SCMP_SYS(epoll_wait),
                            SCMP_SYS(eventfd2),
                            SCMP_SYS(exit),
                            SCMP_SYS(exit_group),
                            SCMP_SYS(fcntl),
                            SCMP_SYS(fstat),
                            SCMP_SYS(futex),
                            SCMP_SYS(getcpu),
                            SCMP_SYS(getpeername),
                            SCMP_SYS(getpid),
                            SCMP_SYS(getrandom),
                            SCMP_SYS(getrusage),
                            SCMP_SYS(getsockname),
                            SCMP_SYS(getsockopt),
                            SCMP_SYS(gettid),
                            SCMP_SYS(gettimeofday),
                            SCMP_SYS(lseek),
                            SCMP_SYS(madvise),
                            SCMP_SYS(membarrier),
                            SCMP_SYS(memfd_create),
                            SCMP_SYS(ftruncate),
                            SCMP_SYS(mmap),
                            SCMP_SYS(mprotect),
                            SCMP_SYS(mremap),
                            SCMP_SYS(munmap),
                            SCMP_SYS(nanosleep),
                            SCMP_SYS(newfstatat),
                            SCMP_SYS(poll),
                            SCMP_SYS(pread64),
                            SCMP_SYS(read),
                            SCMP_SYS(readv),
                            SCMP_SYS(recvfrom),
                            SCMP_SYS(recvmsg),
                            SCMP_SYS(restart_syscall),
                            SCMP_SYS(rt_sigaction),
                            SCMP_SYS(rt_sigprocmask),
                            SCMP_SYS(rt_sigreturn),
                            SCMP_SYS(sched_getaffinity),
                            SCMP_SYS(sched_yield),
                            SCMP_SYS(sendmsg),
                            SCMP_SYS(sendto),
                            SCMP_SYS(set_robust_list),
                            SCMP_SYS(setsockopt),
                            SCMP_SYS(shutdown),
                            SCMP_SYS(sigaltstack),
                            SCMP_SYS(sysinfo),
                            SCMP_SYS(timerfd_create),
                            SCMP_SYS(timerfd_settime),
                            SCMP_SYS(statx),
                            SCMP_SYS(uname),
                            SCMP_SYS(write),
                            SCMP_SYS(writev),
                            SCMP_SYS(rseq)};
constexpr int kDeadly[] = {SCMP_SYS(execve),
                           SCMP_SYS(execveat),
                           SCMP_SYS(fork),
                           SCMP_SYS(vfork),
                           SCMP_SYS(clone),
                           SCMP_SYS(clone3),
                           SCMP_SYS(ptrace),
                           SCMP_SYS(process_vm_readv),
                           SCMP_SYS(process_vm_writev),
                           SCMP_SYS(connect),
                           SCMP_SYS(bind),
                           SCMP_SYS(bpf),
                           SCMP_SYS(io_uring_setup),
                           SCMP_SYS(userfaultfd),
                           SCMP_SYS(perf_event_open),
                           SCMP_SYS(kexec_load),
                           SCMP_SYS(mount),
                           SCMP_SYS(setns),
                           SCMP_SYS(unshare),
                           SCMP_SYS(pidfd_getfd),
                           SCMP_SYS(init_module)};

constexpr unsigned long kPagemapScan = _IOWR('f', 16, char[96]);  // Linux 6.7; Debian 12's headers are 6.1

int fill_filter(scmp_filter_ctx filter) {
  int failure = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
  for (const int call : kAllowed) {
    if (failure == 0) failure = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
  }
  for (const int call : kDeadly) {
    if (failure == 0) failure = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, call, 0);
  }
  // A signal to itself is abort(); to anybody else it is an attack.
  const scmp_arg_cmp itself{
      .arg = 0, .op = SCMP_CMP_EQ, .datum_a = static_cast<scmp_datum_t>(::getpid()), .datum_b = 0};
  if (failure == 0) failure = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &itself);
  // Asio makes descriptors non-blocking; Wasmtime finds the pages that a guest has written. Every other ioctl is a
  // driver's door.
  for (const unsigned long request : {static_cast<unsigned long>(FIONBIO), kPagemapScan}) {
    const scmp_arg_cmp is_request{.arg = 1, .op = SCMP_CMP_EQ, .datum_a = request, .datum_b = 0};
    if (failure == 0) failure = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, &is_request);
  }
  return failure == 0 ? seccomp_load(filter) : failure;
}

void filter_system_calls(SandboxLayers& layers) {
  const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter == nullptr) {
    add(layers, "seccomp", false, "out of memory");
    return;
  }
  const int failure = fill_filter(filter);
  seccomp_release(filter);
  add(layers, "seccomp", failure == 0,
      failure == 0 ? "allowlist of " + std::to_string(std::size(kAllowed)) + " calls, all threads"
                   : std::strerror(-failure));
}

}  // namespace

SandboxLayers drop_privileges(const std::vector<int>& kept_fds) {
  SandboxLayers layers;
  close_other_descriptors(layers, kept_fds);
  limit_resources(layers);
  const bool was_root = ::geteuid() == 0;
  if (leave_namespaces(layers)) {
    empty_root(layers);
  } else {
    add(layers, "empty_root", false, "needs a mount namespace");
  }
  const bool bounding_set_is_empty = empty_bounding_set();
  // Root still has its identity to change; everybody else is done with capabilities here, before there are threads.
  if (was_root) {
    add(layers, "capabilities", bounding_set_is_empty, "none to gain; those held go with the identity");
  } else {
    drop_capabilities(layers, bounding_set_is_empty);
  }
  const bool no_new = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  add(layers, "no_new_privs", no_new, no_new ? "" : errno_text());
  return layers;
}

void seal_process(SandboxLayers& layers, const SandboxIdentity& identity) {
  // libc changes all threads; the kernel takes each one's capabilities away with user 0.
  change_identity(layers, identity);
  const bool hidden = ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
  add(layers, "not_dumpable", hidden, hidden ? "no ptrace, no core" : errno_text());
  forbid_processes(layers);
  forbid_files(layers);
  add(layers, "pid_namespace", false, "only the process that starts the runner can give it one");
  add(layers, "cgroup", false, "only the process that starts the runner can give it one");
  filter_system_calls(layers);
}

std::string to_json(const SandboxLayers& layers) {
  std::string out = "[";
  for (const SandboxLayer& layer : layers) {
    if (out.size() > 1) out += ',';
    out += R"({"layer":)";
    protocol::append_json_string(out, layer.layer);
    out += layer.active ? R"(,"active":true,"reason":)" : R"(,"active":false,"reason":)";
    protocol::append_json_string(out, layer.reason);
    out += '}';
  }
  return out + "]";
}

}  // namespace bulkhead::runner
