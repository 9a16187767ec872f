// The listening socket of /v1/execute, which the supervisor opens and every runner inherits.
#pragma once

#include <string>

#include "base/error.h"
#include "platform/process/unique_fd.h"

namespace bulkhead::server {

struct ListenSocket {
  process::UniqueFd socket;
  std::string address;  // "127.0.0.1:43121"
};
// kBadRequest: not HOST:PORT; kUnavailable: the address is taken or not ours.
Result<ListenSocket> open_listen_socket(const std::string& host_and_port);

struct HostAndPort {
  std::string host;
  std::uint16_t port = 0;
};
// "127.0.0.1:8080", "[::1]:8080".
Result<HostAndPort> parse_host_and_port(const std::string& text);
// The same for an address to listen on. kBadRequest also when HOST is no IP address.
Result<HostAndPort> check_listen_address(const std::string& text);

}  // namespace bulkhead::server
