// The walls around runner and compiler processes, for the day on which a guest gets out of Wasmtime or a module takes
// over the compiler: what the process can still reach then. In three steps:
//
//   drop_privileges      first thing in the process, before there are threads: everything but the rest
//   seal_process         when all that needs starting has been started, before the first foreign byte is worked on
//   filter_system_calls  the same moment, last
//
// Why not all at once: the engine reads two files when it is made, and starts a thread. Each layer that can't be had is
// left out and says why: health reports show what really holds. One-way; whole process.
#pragma once

#include <sys/types.h>

#include <vector>

#include "protocol/sandbox_layers.h"

namespace bulkhead::runner {

using protocol::SandboxLayer;
using protocol::SandboxLayers;

struct SandboxIdentity {
  // Used when the process starts as root. Nothing else on the machine should run as this user.
  uid_t uid = 61'184;
  gid_t gid = 61'184;
};

// What a process may still do once it is sealed.
enum class SandboxRole : std::uint8_t {
  kRunner,    // sockets and event loops; no new threads
  kCompiler,  // no sockets; threads of its own, a bounded number
};

// Keeps standard error and `kept_fds`, closes everything else.
SandboxLayers drop_privileges(const std::vector<int>& kept_fds, const SandboxIdentity& identity);
void seal_process(SandboxLayers& layers, const SandboxIdentity& identity, SandboxRole role);
void filter_system_calls(SandboxLayers& layers, SandboxRole role);

}  // namespace bulkhead::runner
