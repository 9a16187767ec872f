#include "server/listen_socket.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <charconv>
#include <cstring>

#include <sys/socket.h>

namespace bulkhead::server {

Result<HostAndPort> parse_host_and_port(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  HostAndPort parsed;
  const char* end = text.data() + text.size();
  if (colon == std::string::npos) return fail(ErrorCode::kBadRequest, "\"" + text + "\" is not HOST:PORT.");
  const auto [stopped, failure] = std::from_chars(text.data() + colon + 1, end, parsed.port);
  if (failure == std::errc::result_out_of_range) {
    return fail(ErrorCode::kBadRequest, "\"" + text + "\": a port is at most 65535.");
  }
  if (failure != std::errc{} || stopped != end) {
    return fail(ErrorCode::kBadRequest, "\"" + text + "\" is not HOST:PORT.");
  }
  parsed.host = text.substr(0, colon);
  if (parsed.host.starts_with('[') && parsed.host.ends_with(']')) {
    parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
  }
  if (parsed.host == "localhost") parsed.host = "127.0.0.1";
  if (parsed.host.empty()) parsed.host = "0.0.0.0";
  return parsed;
}

Result<HostAndPort> check_listen_address(const std::string& text) {
  BH_TRY(HostAndPort place, parse_host_and_port(text));
  boost::system::error_code failure;
  boost::asio::ip::make_address(place.host, failure);
  if (failure) {
    return fail(ErrorCode::kBadRequest, "\"" + text + "\": HOST is an IP address of this machine, or localhost.");
  }
  return place;
}

Result<ListenSocket> open_listen_socket(const std::string& host_and_port) {
  BH_TRY(const HostAndPort place, check_listen_address(host_and_port));
  const boost::asio::ip::tcp::endpoint endpoint(boost::asio::ip::make_address(place.host), place.port);
  process::UniqueFd socket(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  const bool listening = socket && ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                         ::bind(socket.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0 &&
                         ::listen(socket.get(), SOMAXCONN) == 0 &&
                         ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size) == 0;
  if (!listening) {
    if (errno == EADDRINUSE) {
      return fail(ErrorCode::kUnavailable,
                  "Another process listens on " + host_and_port + "; name another address with --listen.");
    }
    return fail(ErrorCode::kUnavailable, "Can't listen on " + host_and_port + ".", std::strerror(errno));
  }
  boost::asio::ip::tcp::endpoint actual;
  std::memcpy(actual.data(), &bound, std::min<std::size_t>(size, actual.capacity()));
  const std::string host = place.host.find(':') == std::string::npos ? place.host : "[" + place.host + "]";
  return ListenSocket{std::move(socket), host + ":" + std::to_string(actual.port())};
}

}  // namespace bulkhead::server
