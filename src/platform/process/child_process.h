// A child process that can't outlive, escape or haunt its parent:
//   * it inherits exactly the named descriptors, under the numbers given, and an explicit environment: nothing else;
//   * it dies with the parent (PDEATHSIG). The kernel ties that signal to the *thread* that spawned: spawn on a thread
//   that
//     lives as long as the child may (a core, the main thread), never on one that ends earlier;
//   * it is killed and waited for through its pidfd, so a recycled pid is never hit;
//   * the destructor kills and reaps it: no zombie stays.
// Owned by one object, used on one thread (spawn, kill and wait may each happen on a thread of their own if they don't
// overlap). Spawning takes about a millisecond and blocks for it. Needs Linux 5.11 (close_range with CLOEXEC).
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "platform/async/task.h"
#include "platform/process/unique_fd.h"

namespace bulkhead::process {

// Where one of the child's standard streams leads.
struct Stdio {
  enum class Kind : std::uint8_t { kNull, kInherit, kPipe, kFd } kind = Kind::kNull;
  int fd = -1;  // kFd

  static Stdio null() { return {}; }
  static Stdio inherit() { return {.kind = Kind::kInherit}; }
  // The parent's end is ChildProcess::take_stdin() and so on; blocking, close-on-exec.
  static Stdio pipe() { return {.kind = Kind::kPipe}; }
  static Stdio from_fd(int fd) { return {.kind = Kind::kFd, .fd = fd}; }
};

struct PassedFd {
  int fd = -1;  // ours; stays ours
  int as = -1;  // the number in the child, >= 3
};

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;  // supplementary groups are dropped
};

struct ResourceLimit {
  int resource = 0;  // RLIMIT_…
  rlim_t soft = 0;
  rlim_t hard = 0;
};

struct ChildOptions {
  std::string program{};                   // a path; self_exe() for ourselves
  std::vector<std::string> arguments{};    // argv[1]…; argv[0] is `program`
  std::vector<std::string> environment{};  // "NAME=value"; nothing is inherited
  std::string directory{};                 // working directory; empty = ours
  Stdio stdin_from{};
  Stdio stdout_to = Stdio::inherit();
  Stdio stderr_to = Stdio::inherit();
  std::vector<PassedFd> fds{};
  std::optional<Identity> identity{};  // needs CAP_SETUID/CAP_SETGID
  std::vector<ResourceLimit> limits{};
  enum class Privileges : std::uint8_t { kKeep, kNoNew } privileges = Privileges::kNoNew;  // PR_SET_NO_NEW_PRIVS
  enum class Session : std::uint8_t { kSame, kNew } session = Session::kSame;              // setsid: no terminal
  // kOwnIfPossible: the child is process 1 of a process id namespace of its own; it sees and can signal nobody else,
  // and what it starts dies with it. It then ignores signals that it has no handler for, but for SIGKILL from here.
  // Not root: it is in a user namespace of its own, too, under the same ids. Where neither can be had it is an ordinary
  // child; getpid() == 1 tells it.
  enum class PidNamespace : std::uint8_t { kSame, kOwnIfPossible } pid_namespace = PidNamespace::kSame;
};

struct ExitStatus {
  int code = 0;    // when it exited
  int signal = 0;  // > 0: when it was killed
  bool success() const { return code == 0 && signal == 0; }
  std::string to_string() const;  // "exit code 3", "signal 9 (Killed)"
};

class ChildProcess {
 public:
  // kNotFound when there is no such program, kInternal with the failed step in the detail otherwise. On return the
  // child has begun to run the program.
  static Result<ChildProcess> spawn(const ChildOptions& options);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  // SIGKILL, then reaps. Waits for the kernel to end the process: usually well under a millisecond.
  ~ChildProcess();

  pid_t pid() const;
  UniqueFd take_stdin() { return std::move(stdin_); }
  UniqueFd take_stdout() { return std::move(stdout_); }
  UniqueFd take_stderr() { return std::move(stderr_); }

  // Fine when it has ended already.
  Status kill(int signal);
  // Reaps it when it has ended.
  std::optional<ExitStatus> try_wait();
  // Waits on the calling coroutine's executor, without blocking. kDeadlineExceeded: it still runs. Several may wait.
  Task<Result<ExitStatus>> wait(Millis deadline);
  // SIGTERM, `grace` to end by itself, then SIGKILL.
  Task<Result<ExitStatus>> stop(Millis grace);

 private:
  struct State;
  explicit ChildProcess(std::shared_ptr<State> state) : state_(std::move(state)) {}
  static Task<Result<ExitStatus>> wait_for(std::shared_ptr<State> state, Millis deadline);
  std::shared_ptr<State> state_;
  UniqueFd stdin_, stdout_, stderr_;
};

// What to pass as ChildOptions::program to run this very program again, also after its file was replaced or deleted.
std::string self_exe();
// The path of the program's file, for messages and for finding files beside it. kNotFound when it was deleted.
Result<std::string> self_exe_path();

}  // namespace bulkhead::process
