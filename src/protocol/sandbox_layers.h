// The walls around runner and compiler processes: their names, and how the processes report which of them hold.
//
// Made by src/runner/sandbox_layers.cpp inside the process, shown by its supervisor in /healthz;
// `runner.require_layers` names those without which a process must not work. Plain values.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhead::protocol {

// In the order in which they are reported.
inline constexpr std::array<std::string_view, 16> kSandboxLayerNames = {
    "descriptors",        // nothing inherited but the sockets or files that the process works on
    "rlimits",            // no core files; bounds on descriptors and locked memory
    "identity",           // an unprivileged user
    "user_namespace",     // rights over nothing outside it; no further namespaces
    "pid_namespace",      // sees and can signal nobody else
    "network_namespace",  // no network, not even loopback
    "mount_namespace",    // its own view of the file system
    "ipc_namespace",      // shared memory, host name, cgroup names
    "empty_root",         // a read-only root with nothing in it
    "capabilities",       // none, and none to gain
    "no_new_privs",       // set-user-id programs give nothing
    "landlock",           // no files by path, no TCP, no abstract sockets, no signals: all threads
    "not_dumpable",       // no ptrace, no core
    "nproc",              // a bound on processes and threads
    "seccomp",            // an allowlist of system calls, all threads
    "cgroup",             // a memory and CPU group of its own
};

struct SandboxLayer {
  std::string layer;  // of kSandboxLayerNames
  bool active = false;
  std::string reason;  // why not, or what exactly holds
};
using SandboxLayers = std::vector<SandboxLayer>;

// [{"layer":…,"active":…,"reason":…}]
std::string to_json(const SandboxLayers& layers);
// kUnprocessable for a name that is no layer, with the nearest one that is.
Status check_layer_names(std::span<const std::string> names);
// kUnavailable when one of `required` is not active, with its reason.
Status check_required_layers(const SandboxLayers& layers, std::span<const std::string> required);

}  // namespace bulkhead::protocol
