#include "platform/process/spawn.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "platform/process/errno_error.h"

namespace bulkhead::process::detail {
namespace {

// Where the child stopped, and why; written to the report pipe, which a successful exec closes.
struct Report {
  enum class Step : int {
    kUserNamespace,
    kDescriptors,
    kSession,
    kDirectory,
    kLimits,
    kIdentity,
    kPrivileges,
    kParent,
    kExec
  };
  Step step = Step::kExec;
  int error = 0;
};

const char* name_of(Report::Step step) {
  switch (step) {
    case Report::Step::kUserNamespace:
      return "map user ids";
    case Report::Step::kDescriptors:
      return "pass descriptors";
    case Report::Step::kSession:
      return "setsid";
    case Report::Step::kDirectory:
      return "chdir";
    case Report::Step::kLimits:
      return "setrlimit";
    case Report::Step::kIdentity:
      return "change identity";
    case Report::Step::kPrivileges:
      return "no_new_privs";
    case Report::Step::kParent:
      return "parent-death signal";
    case Report::Step::kExec:
      return "exec";
  }
  return "spawn";
}

// All that the child needs, laid out before the fork: between fork and exec only system calls are allowed, because
// other threads may have held malloc's or the loader's locks.
struct Plan {
  const ChildOptions* options = nullptr;
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::vector<PassedFd> fds;  // standard streams included
  std::vector<int> high;      // scratch: where each of `fds` waits above every target number
  int first_high = 0;
  UniqueFd report;
  int report_reader = -1;  // the parent's end: only the parent may hold it, so that its death shows
  pid_t parent = 0;
  unsigned long namespaces = 0;    // CLONE_NEW…, as far as they could be had
  std::array<char, 32> uid_map{};  // "1000 1000 1"
  std::array<char, 32> gid_map{};
};

[[noreturn]] void give_up(const Plan& plan, Report::Step step) {
  const Report report{.step = step, .error = errno};
  static_cast<void>(!::write(plan.report.get(), &report, sizeof report));
  ::_exit(127);
}

// Handlers of the parent mean nothing here, and ignored signals (SIGPIPE) would be inherited through exec.
void reset_signals() {
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action{};
    action.sa_handler = SIG_DFL;
    ::sigaction(signal, &action, nullptr);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Every descriptor becomes close-on-exec; then the wanted ones are copied above all targets and from there onto their
// numbers, so that no copy overwrites one that is still to be copied. dup2 clears close-on-exec.
void place_descriptors(Plan& plan) {
  if (::syscall(SYS_close_range, 0U, ~0U, CLOSE_RANGE_CLOEXEC) != 0) give_up(plan, Report::Step::kDescriptors);
  const int report = ::fcntl(plan.report.get(), F_DUPFD_CLOEXEC, plan.first_high);
  if (report < 0) give_up(plan, Report::Step::kDescriptors);
  plan.report = UniqueFd(report);
  for (std::size_t i = 0; i < plan.fds.size(); ++i) {
    plan.high[i] = ::fcntl(plan.fds[i].fd, F_DUPFD_CLOEXEC, plan.first_high);
    if (plan.high[i] < 0) give_up(plan, Report::Step::kDescriptors);
  }
  for (std::size_t i = 0; i < plan.fds.size(); ++i) {
    if (::dup2(plan.high[i], plan.fds[i].as) < 0) give_up(plan, Report::Step::kDescriptors);
  }
}

void write_file(const Plan& plan, const char* path, const char* text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  const auto size = static_cast<ssize_t>(std::strlen(text));
  if (fd < 0 || ::write(fd, text, static_cast<std::size_t>(size)) != size) give_up(plan, Report::Step::kUserNamespace);
  ::close(fd);
}

// In a new user namespace nobody is anybody before the ids are mapped.
void map_ids(const Plan& plan) {
  if ((plan.namespaces & CLONE_NEWUSER) == 0) return;
  write_file(plan, "/proc/self/setgroups", "deny");
  write_file(plan, "/proc/self/uid_map", plan.uid_map.data());
  write_file(plan, "/proc/self/gid_map", plan.gid_map.data());
}

// In a namespace of its own a process does not see its parent: the pipe whose other end only the parent has tells.
bool parent_lives(const Plan& plan) {
  if ((plan.namespaces & CLONE_NEWPID) == 0) return ::getppid() == plan.parent;
  pollfd pipe{.fd = plan.report.get(), .events = 0, .revents = 0};
  return ::poll(&pipe, 1, 0) == 0 || (pipe.revents & POLLERR) == 0;
}

// Raw system calls: glibc's wrappers would signal the parent's other threads, which don't exist here.
void change_identity(const Plan& plan) {
  if (!plan.options->identity) return;
  const auto [uid, gid] = *plan.options->identity;
  const bool done = ::syscall(SYS_setgroups, 0, nullptr) == 0 && ::syscall(SYS_setresgid, gid, gid, gid) == 0 &&
                    ::syscall(SYS_setresuid, uid, uid, uid) == 0;
  if (!done) give_up(plan, Report::Step::kIdentity);
}

[[noreturn]] void run_child(Plan& plan) {
  const auto& options = *plan.options;
  reset_signals();
  ::close(plan.report_reader);
  map_ids(plan);
  place_descriptors(plan);
  if (options.session == ChildOptions::Session::kNew && ::setsid() < 0) give_up(plan, Report::Step::kSession);
  if (!options.directory.empty() && ::chdir(options.directory.c_str()) != 0) give_up(plan, Report::Step::kDirectory);
  for (const auto& limit : options.limits) {
    const rlimit64 value{.rlim_cur = limit.soft, .rlim_max = limit.hard};
    if (::syscall(SYS_prlimit64, 0, limit.resource, &value, nullptr) != 0) give_up(plan, Report::Step::kLimits);
  }
  change_identity(plan);
  if (options.privileges == ChildOptions::Privileges::kNoNew && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    give_up(plan, Report::Step::kPrivileges);
  }
  // After the change of identity, which clears it; then look whether the parent died before it was set.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) give_up(plan, Report::Step::kParent);
  if (!parent_lives(plan)) ::_exit(127);
  ::execve(plan.argv[0], plan.argv.data(), plan.envp.data());
  give_up(plan, Report::Step::kExec);
}

std::vector<char*> c_strings(const std::string* first, const std::vector<std::string>& rest) {
  std::vector<char*> list;
  if (first != nullptr) list.push_back(const_cast<char*>(first->c_str()));  // execve does not write to them
  for (const auto& text : rest) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  return Pipe{.read = UniqueFd(ends[0]), .write = UniqueFd(ends[1])};
}

// The child's end of one standard stream; the parent's end of a pipe goes to `ours`.
Result<UniqueFd> open_stdio(const Stdio& stdio, int number, UniqueFd& ours) {
  UniqueFd theirs;
  switch (stdio.kind) {
    case Stdio::Kind::kNull:
      theirs.reset(::open("/dev/null", (number == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC));
      break;
    case Stdio::Kind::kInherit:
      theirs.reset(::fcntl(number, F_DUPFD_CLOEXEC, 3));
      break;
    case Stdio::Kind::kFd:
      theirs.reset(::fcntl(stdio.fd, F_DUPFD_CLOEXEC, 3));
      break;
    case Stdio::Kind::kPipe: {
      BH_TRY(auto pipe, make_pipe());
      theirs = std::move(number == 0 ? pipe.read : pipe.write);
      ours = std::move(number == 0 ? pipe.write : pipe.read);
      break;
    }
  }
  if (!theirs) return fail_errno(errno, "open standard stream");
  return theirs;
}

// Blocks all signals, so that no handler of ours runs in the child.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

void reap_now(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// fork, into namespaces of its own where that is wanted and can be had. The system call itself, as glibc's clone wants
// a stack; between it and exec the child makes only system calls anyway.
pid_t fork_child(Plan& plan) {
  if (plan.options->pid_namespace == ChildOptions::PidNamespace::kOwnIfPossible) {
    for (const unsigned long wanted : {0UL | CLONE_NEWPID, 0UL | CLONE_NEWPID | CLONE_NEWUSER}) {
      plan.namespaces = wanted;
      const long pid = ::syscall(SYS_clone, wanted | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
      if (pid >= 0) return static_cast<pid_t>(pid);
    }
  }
  plan.namespaces = 0;
  return ::fork();
}

// Returns when the child runs its program, or what went wrong.
Status read_report(const UniqueFd& from, const ChildOptions& options) {
  Report report;
  ssize_t got = -1;
  do {
    got = ::read(from.get(), &report, sizeof report);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return {};
  if (got != sizeof report) return fail(ErrorCode::kInternal, {}, "no report from the child");
  return fail_errno(report.error, name_of(report.step), options.program);
}

}  // namespace

Result<Spawned> spawn(const ChildOptions& options) {
  Spawned spawned;
  Plan plan;
  plan.options = &options;
  plan.argv = c_strings(&options.program, options.arguments);
  plan.envp = c_strings(nullptr, options.environment);
  const std::array stdio = {&options.stdin_from, &options.stdout_to, &options.stderr_to};
  std::array<UniqueFd, 3> theirs;
  for (int number = 0; number < 3; ++number) {
    const auto at = static_cast<std::size_t>(number);
    BH_TRY(theirs[at], open_stdio(*stdio[at], number, spawned.stdio[at]));
    plan.fds.push_back({.fd = theirs[at].get(), .as = number});
  }
  for (const auto& passed : options.fds) {
    BH_ASSERT(passed.fd >= 0 && passed.as >= 3);
    plan.fds.push_back(passed);
  }
  plan.high.resize(plan.fds.size());
  plan.first_high = std::ranges::max(plan.fds, {}, &PassedFd::as).as + 1;
  plan.parent = ::getpid();
  BH_TRY(auto report, make_pipe());
  plan.report = std::move(report.write);
  plan.report_reader = report.read.get();
  std::snprintf(plan.uid_map.data(), plan.uid_map.size(), "%u %u 1", ::geteuid(), ::geteuid());
  std::snprintf(plan.gid_map.data(), plan.gid_map.size(), "%u %u 1", ::getegid(), ::getegid());
  {
    const SignalsBlocked blocked;
    spawned.pid = fork_child(plan);
    if (spawned.pid == 0) run_child(plan);
  }
  if (spawned.pid < 0) return fail_errno(errno, "fork");
  plan.report.reset();
  // The pid can't be recycled before we wait for it, so this is the right process.
  spawned.pidfd.reset(pidfd_open(spawned.pid));
  if (!spawned.pidfd) {
    const int error = errno;
    ::kill(spawned.pid, SIGKILL);
    reap_now(spawned.pid);
    return fail_errno(error, "pidfd_open");
  }
  if (auto begun = read_report(report.read, options); !begun) {
    reap_now(spawned.pid);
    return fail(std::move(begun.error()));
  }
  return spawned;
}

}  // namespace bulkhead::process::detail
