// The fork and exec behind ChildProcess. Private to the room.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "platform/process/child_process.h"

namespace bulkhead::process::detail {

struct Spawned {
  pid_t pid = -1;
  UniqueFd pidfd;
  std::array<UniqueFd, 3> stdio;  // the parent's ends of pipes
};

Result<Spawned> spawn(const ChildOptions& options);

// The system calls themselves: glibc 2.36 declares its functions for C only. -1 and errno as usual.
inline int pidfd_open(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)); }
inline int pidfd_send_signal(int pidfd, int signal) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0U));
}

}  // namespace bulkhead::process::detail
