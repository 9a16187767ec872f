// The seccomp filters: what the event loop, the thread pool, the log and Wasmtime (mapping machine code from memfds,
// resetting slots) need. Anything else is refused; what exists only to reach outside ends the process, for it means
// that a guest got out.
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "runner/sandbox_layers.h"

namespace bulkhead::runner {
namespace {

// Memory, time, its own threads, descriptors that are open already.
constexpr int kCommon[] = {SCMP_SYS(brk),
                           SCMP_SYS(clock_gettime),
                           SCMP_SYS(clock_nanosleep),
                           SCMP_SYS(close),
                           SCMP_SYS(exit),
                           SCMP_SYS(exit_group),
                           SCMP_SYS(fcntl),
                           SCMP_SYS(fstat),
                           SCMP_SYS(futex),
                           SCMP_SYS(getcpu),
                           SCMP_SYS(getpid),
                           SCMP_SYS(getrandom),
                           SCMP_SYS(getrusage),
                           SCMP_SYS(gettid),
                           SCMP_SYS(gettimeofday),
                           SCMP_SYS(lseek),
                           SCMP_SYS(madvise),
                           SCMP_SYS(membarrier),
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
                           SCMP_SYS(restart_syscall),
                           SCMP_SYS(rseq),
                           SCMP_SYS(rt_sigaction),
                           SCMP_SYS(rt_sigprocmask),
                           SCMP_SYS(rt_sigreturn),
                           SCMP_SYS(sched_getaffinity),
                           SCMP_SYS(sched_yield),
                           SCMP_SYS(set_robust_list),
                           SCMP_SYS(sigaltstack),
                           SCMP_SYS(statx),
                           SCMP_SYS(sysinfo),
                           SCMP_SYS(uname),
                           SCMP_SYS(write),
                           SCMP_SYS(writev)};
constexpr int kRunnerOnly[] = {
    SCMP_SYS(accept4),     SCMP_SYS(dup),         SCMP_SYS(epoll_create1),  SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_wait),  SCMP_SYS(eventfd2),       SCMP_SYS(ftruncate),
    SCMP_SYS(getpeername), SCMP_SYS(getsockname), SCMP_SYS(getsockopt),     SCMP_SYS(memfd_create),
    SCMP_SYS(recvfrom),    SCMP_SYS(recvmsg),     SCMP_SYS(sendmsg),        SCMP_SYS(sendto),
    SCMP_SYS(setsockopt),  SCMP_SYS(shutdown),    SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime)};
constexpr int kDeadly[] = {SCMP_SYS(bind),
                           SCMP_SYS(bpf),
                           SCMP_SYS(connect),
                           SCMP_SYS(execve),
                           SCMP_SYS(execveat),
                           SCMP_SYS(fork),
                           SCMP_SYS(init_module),
                           SCMP_SYS(io_uring_setup),
                           SCMP_SYS(kexec_load),
                           SCMP_SYS(keyctl),
                           SCMP_SYS(mount),
                           SCMP_SYS(perf_event_open),
                           SCMP_SYS(pidfd_getfd),
                           SCMP_SYS(pivot_root),
                           SCMP_SYS(process_vm_readv),
                           SCMP_SYS(process_vm_writev),
                           SCMP_SYS(ptrace),
                           SCMP_SYS(setns),
                           SCMP_SYS(unshare),
                           SCMP_SYS(userfaultfd),
                           SCMP_SYS(vfork)};

constexpr unsigned long kPagemapScan = _IOWR('f', 16, char[96]);  // Linux 6.7; Debian 12's headers are 6.1

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM))) {
    if (context_ == nullptr) failure_ = -ENOMEM;
    if (failure_ == 0) failure_ = seccomp_attr_set(context_, SCMP_FLTATR_CTL_TSYNC, 1);
  }
  ~Filter() {
    if (context_ != nullptr) seccomp_release(context_);
  }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  void add(std::uint32_t action, std::span<const int> calls) {
    for (const int call : calls) add(action, call, {});
  }
  void add(std::uint32_t action, int call, std::span<const scmp_arg_cmp> arguments) {
    if (failure_ == 0) {
      failure_ =
          seccomp_rule_add_array(context_, action, call, static_cast<unsigned>(arguments.size()), arguments.data());
    }
  }
  // 0, or -errno.
  int load() { return failure_ == 0 ? seccomp_load(context_) : failure_; }

 private:
  scmp_filter_ctx context_;
  int failure_ = 0;
};

constexpr scmp_arg_cmp equals(unsigned argument, std::uint64_t value) {
  return {.arg = argument, .op = SCMP_CMP_EQ, .datum_a = value, .datum_b = 0};
}

// New threads are the compiler's alone. clone3 hides its flags in memory, where no filter can look: told that there is
// no such call, libc falls back to clone.
void add_threads(Filter& filter, SandboxRole role) {
  if (role == SandboxRole::kRunner) {
    filter.add(SCMP_ACT_KILL_PROCESS, std::span<const int>(std::to_array({SCMP_SYS(clone), SCMP_SYS(clone3)})));
    return;
  }
  constexpr std::uint64_t kNamespaces =
      CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  const scmp_arg_cmp thread{.arg = 0,
                            .op = SCMP_CMP_MASKED_EQ,
                            .datum_a = CLONE_THREAD | CLONE_VM | kNamespaces,
                            .datum_b = CLONE_THREAD | CLONE_VM};
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(clone), {{thread}});
  const scmp_arg_cmp process{.arg = 0, .op = SCMP_CMP_MASKED_EQ, .datum_a = CLONE_THREAD, .datum_b = 0};
  filter.add(SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), {{process}});
  filter.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), {});
}

int load_filter(SandboxRole role) {
  Filter filter;
  filter.add(SCMP_ACT_ALLOW, kCommon);
  filter.add(SCMP_ACT_KILL_PROCESS, kDeadly);
  add_threads(filter, role);
  if (role == SandboxRole::kRunner) {
    filter.add(SCMP_ACT_ALLOW, kRunnerOnly);
    // Asio makes descriptors non-blocking; Wasmtime finds the pages that a guest has written. Every other ioctl is a
    // driver's door.
    for (const unsigned long request : {static_cast<unsigned long>(FIONBIO), kPagemapScan}) {
      filter.add(SCMP_ACT_ALLOW, SCMP_SYS(ioctl), {{equals(1, request)}});
    }
  }
  // A signal to itself is abort(); to anybody else it is an attack.
  filter.add(SCMP_ACT_ALLOW, SCMP_SYS(tgkill), {{equals(0, static_cast<std::uint64_t>(::getpid()))}});
  return filter.load();
}

}  // namespace

void filter_system_calls(SandboxLayers& layers, SandboxRole role) {
  const int failure = load_filter(role);
  const std::size_t allowed = std::size(kCommon) + (role == SandboxRole::kRunner ? std::size(kRunnerOnly) : 0);
  layers.push_back({.layer = "seccomp",
                    .active = failure == 0,
                    .reason = failure == 0 ? "allowlist of " + std::to_string(allowed) + " calls, all threads"
                                           : std::strerror(-failure)});
}

}  // namespace bulkhead::runner
