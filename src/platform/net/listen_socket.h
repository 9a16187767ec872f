// Opens the listening sockets of a server: TCP with SO_REUSEPORT (one per core, so that the kernel spreads connections
// and no core wakes for another), a Unix socket or an inherited one (shared by the cores as duplicates).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/error.h"
#include "platform/net/http_server.h"

namespace bulkhead::net {

struct ListenSockets {
  std::vector<int> sockets;  // one per core, non-blocking; the caller closes them
  std::string address;       // "127.0.0.1:8080", "[::1]:8080", "unix:/path"
  std::string unix_path;     // to remove when the server ends; empty otherwise
};

// kBadRequest: the host is no address. kUnavailable: taken, not permitted, no such interface.
Result<ListenSockets> open_listen_sockets(const HttpServerOptions& options, std::size_t cores);

}  // namespace bulkhead::net
