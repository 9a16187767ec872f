// The walls around the runner process itself, for the day on which a guest gets out of Wasmtime: what the process can
// still reach then. Two steps, because namespaces must be left before there are threads, and because the engine opens
// /proc/self/pagemap (its slots are reset through it), which is root's once a process has given up root:
//
//   drop_privileges   first thing in the process: other descriptors, limits, no_new_privs, namespaces, empty root
//   seal_process      after every thread has been started, before the first guest: identity, Landlock, seccomp
//
// Each layer that can't be had is left out and says why: health reports show what really holds. One-way; whole process.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace bulkhead::runner {

struct SandboxLayer {
  std::string layer;  // "seccomp"
  bool active = false;
  std::string reason;  // why not, or what exactly holds
};
using SandboxLayers = std::vector<SandboxLayer>;

struct SandboxIdentity {
  // Used when the process starts as root. Nothing else on the machine should run as this user.
  uid_t uid = 61'184;
  gid_t gid = 61'184;
};

// Keeps standard error and `kept_fds`, closes everything else.
SandboxLayers drop_privileges(const std::vector<int>& kept_fds);
void seal_process(SandboxLayers& layers, const SandboxIdentity& identity);

// [{"layer":…,"active":…,"reason":…}]
std::string to_json(const SandboxLayers& layers);

}  // namespace bulkhead::runner
