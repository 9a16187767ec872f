#include "platform/process/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <mutex>
#include <thread>

#include "platform/process/errno_error.h"
#include "platform/process/spawn.h"
#include "platform/process/wait_fd.h"

namespace bulkhead::process {
namespace {

// How long the destructor waits itself before it leaves a process that the kernel can't end yet to a thread.
constexpr int kReapMillis = 2'000;

}  // namespace

std::string ExitStatus::to_string() const {
  if (signal == 0) return "exit code " + std::to_string(code);
  return "signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

struct ChildProcess::State {
  State(pid_t child, UniqueFd child_fd) : pid(child), pidfd(std::move(child_fd)) {}
  ~State() { end(); }

  // Reaps without blocking.
  std::optional<ExitStatus> reap() {
    if (status) return status;
    siginfo_t info{};
    const auto id = static_cast<id_t>(pidfd.get());
    if (::waitid(P_PIDFD, id, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) return std::nullopt;
    status = info.si_code == CLD_EXITED ? ExitStatus{.code = info.si_status, .signal = 0}
                                        : ExitStatus{.code = 0, .signal = info.si_status};
    return status;
  }

  void end() {
    if (!pidfd || reap()) return;
    detail::pidfd_send_signal(pidfd.get(), SIGKILL);
    pollfd ended{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    while (::poll(&ended, 1, kReapMillis) < 0 && errno == EINTR) {
    }
    if (reap()) return;
    // It hangs in the kernel (a dead disk, say). Someone must still wait for it.
    std::thread([fd = std::move(pidfd)] {
      siginfo_t info{};
      while (::waitid(P_PIDFD, static_cast<id_t>(fd.get()), &info, WEXITED) != 0 && errno == EINTR) {
      }
    }).detach();
  }

  pid_t pid;
  UniqueFd pidfd;
  std::optional<ExitStatus> status;
};

Result<ChildProcess> ChildProcess::spawn(const ChildOptions& options) {
  BH_TRY(auto spawned, detail::spawn(options));
  ChildProcess child(std::make_shared<State>(spawned.pid, std::move(spawned.pidfd)));
  child.stdin_ = std::move(spawned.stdio[0]);
  child.stdout_ = std::move(spawned.stdio[1]);
  child.stderr_ = std::move(spawned.stdio[2]);
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept = default;

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this == &other) return *this;
  if (state_) state_->end();
  state_ = std::move(other.state_);
  stdin_ = std::move(other.stdin_);
  stdout_ = std::move(other.stdout_);
  stderr_ = std::move(other.stderr_);
  return *this;
}

// Someone who waits shares the state, so its own destructor would come too late.
ChildProcess::~ChildProcess() {
  if (state_) state_->end();
}

pid_t ChildProcess::pid() const { return state_->pid; }

Status ChildProcess::kill(int signal) {
  if (state_->reap()) return {};
  if (detail::pidfd_send_signal(state_->pidfd.get(), signal) != 0 && errno != ESRCH) {
    return fail_errno(errno, "pidfd_send_signal");
  }
  return {};
}

std::optional<ExitStatus> ChildProcess::try_wait() { return state_->reap(); }

Task<Result<ExitStatus>> ChildProcess::wait(Millis deadline) { return wait_for(state_, deadline); }

Task<Result<ExitStatus>> ChildProcess::wait_for(std::shared_ptr<State> state, Millis deadline) {
  if (const auto status = state->reap()) co_return *status;
  // A pidfd becomes readable when the process has ended.
  if (auto ready = co_await wait_readable(state->pidfd.get(), deadline); !ready) {
    co_return fail(std::move(ready.error()));
  }
  if (const auto status = state->reap()) co_return *status;
  co_return fail(ErrorCode::kInternal, {}, "waitid found no status");
}

Task<Result<ExitStatus>> ChildProcess::stop(Millis grace) {
  const auto state = state_;
  BH_CO_TRY_VOID(kill(SIGTERM));
  auto ended = co_await wait_for(state, grace);
  if (ended || ended.error().code != ErrorCode::kDeadlineExceeded) co_return ended;
  state->end();
  if (const auto status = state->reap()) co_return *status;
  co_return fail(ErrorCode::kInternal, {}, "the process does not end");
}

std::string self_exe() { return "/proc/self/exe"; }

Result<std::string> self_exe_path() {
  std::string path(PATH_MAX, '\0');
  const auto size = ::readlink("/proc/self/exe", path.data(), path.size());
  if (size < 0) return fail_errno(errno, "readlink", "/proc/self/exe");
  path.resize(static_cast<std::size_t>(size));
  // The kernel appends " (deleted)" when the file is gone; a file may also really be called so.
  if (::access(path.c_str(), F_OK) != 0) return fail_errno(errno, "access", path);
  return path;
}

}  // namespace bulkhead::process
