#include "platform/net/listen_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

namespace bulkhead::net {
namespace {

using asio::ip::tcp;

constexpr int kBacklog = 1024;
constexpr std::string_view kUnixPrefix = "unix:";

std::unexpected<Error> refuse(const std::string& address, std::string_view what) {
  const int number = errno;
  std::string message = "Can't listen on " + address + ": ";
  message += number == EADDRINUSE ? "another process listens on it; name another address with --listen."
                                  : std::string(std::strerror(number)) + ".";
  return fail(ErrorCode::kUnavailable, std::move(message), std::string(what) + ": errno " + std::to_string(number));
}

class Socket {
 public:
  explicit Socket(int handle) : handle_(handle) {}
  Socket(Socket&& other) noexcept : handle_(std::exchange(other.handle_, -1)) {}
  ~Socket() {
    if (handle_ >= 0) ::close(handle_);
  }
  int get() const { return handle_; }
  int release() { return std::exchange(handle_, -1); }

 private:
  int handle_;
};

Result<Socket> open_tcp(const tcp::endpoint& endpoint, const std::string& name, bool share_port) {
  Socket socket(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return refuse(name, "socket");
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (share_port) ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (::bind(socket.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0) return refuse(name, "bind");
  if (share_port && ::listen(socket.get(), kBacklog) != 0) return refuse(name, "listen");
  return socket;
}

std::string describe(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "unknown";
  if (address.ss_family == AF_UNIX) {
    return std::string(kUnixPrefix) + reinterpret_cast<sockaddr_un*>(&address)->sun_path;
  }
  tcp::endpoint endpoint;
  std::memcpy(endpoint.data(), &address, std::min<std::size_t>(size, endpoint.capacity()));
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

Result<ListenSockets> listen_tcp(const HttpServerOptions& options, std::size_t cores) {
  boost::system::error_code failure;
  const auto host = asio::ip::make_address(options.host, failure);
  if (failure) {
    return fail(ErrorCode::kBadRequest,
                "The listen host \"" + options.host + "\" is neither an IP address nor unix:/path.");
  }
  tcp::endpoint endpoint(host, options.port);
  const std::string name = options.host + ":" + std::to_string(options.port);
  // With SO_REUSEPORT a second server of the same user would share the port silently: ask first without it.
  if (options.port != 0) BH_TRY_VOID(open_tcp(endpoint, name, false));
  ListenSockets result;
  for (std::size_t i = 0; i < cores; ++i) {
    auto socket = open_tcp(endpoint, name, true);
    if (!socket) {
      for (const int opened : result.sockets) ::close(opened);
      return fail(std::move(socket.error()));
    }
    if (i == 0) {
      result.address = describe(socket->get());
      socklen_t size = static_cast<socklen_t>(endpoint.capacity());
      ::getsockname(socket->get(), endpoint.data(), &size);  // the port that 0 has become
    }
    result.sockets.push_back(socket->release());
  }
  return result;
}

// The cores share one socket; each needs its own descriptor for its own epoll.
Result<ListenSockets> share(Socket socket, std::size_t cores) {
  ListenSockets result;
  result.address = describe(socket.get());
  const int flags = ::fcntl(socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0) return refuse(result.address, "fcntl");
  for (std::size_t i = 1; i < cores; ++i) {
    const int copy = ::fcntl(socket.get(), F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
      for (const int opened : result.sockets) ::close(opened);
      return refuse(result.address, "dup");
    }
    result.sockets.push_back(copy);
  }
  result.sockets.push_back(socket.release());
  return result;
}

// A socket file that nobody listens on any more is what a killed server leaves behind.
bool is_abandoned(const sockaddr_un& address) {
  struct stat status{};
  if (::lstat(address.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const Socket probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
         errno == ECONNREFUSED;
}

Result<ListenSockets> listen_unix(const std::string& path, std::size_t cores) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::kBadRequest, "The path of a Unix socket must have 1 to 107 bytes.");
  }
  path.copy(address.sun_path, path.size());
  const std::string name = std::string(kUnixPrefix) + path;
  if (is_abandoned(address)) ::unlink(path.c_str());
  Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return refuse(name, "socket");
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return refuse(name, "bind");
  }
  if (::listen(socket.get(), kBacklog) != 0) return refuse(name, "listen");
  BH_TRY(ListenSockets result, share(std::move(socket), cores));
  result.unix_path = path;
  return result;
}

}  // namespace

Result<ListenSockets> open_listen_sockets(const HttpServerOptions& options, std::size_t cores) {
  if (options.inherited_listener >= 0) {
    const int own = ::fcntl(options.inherited_listener, F_DUPFD_CLOEXEC, 3);
    if (own < 0) return refuse("the inherited socket", "dup");
    return share(Socket(own), cores);
  }
  if (options.host.starts_with(kUnixPrefix)) return listen_unix(options.host.substr(kUnixPrefix.size()), cores);
  return listen_tcp(options, cores);
}

}  // namespace bulkhead::net
