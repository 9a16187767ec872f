#include "server/guest_dial_guard.h"

#include "server/listen_socket.h"

namespace bulkhead::server {

namespace ip = boost::asio::ip;

Result<std::unique_ptr<GuestDialGuard>> GuestDialGuard::make(const std::vector<std::string>& allowed_cidrs) {
  std::vector<net::Cidr> allowed;
  for (const std::string& text : allowed_cidrs) {
    auto block = net::Cidr::parse(text);
    if (!block) return fail(block.error().code, "egress.allowed_cidrs: " + block.error().message);
    allowed.push_back(*block);
  }
  std::unique_ptr<GuestDialGuard> guard(new GuestDialGuard(std::move(allowed)));
  guard->listening_on({});
  return guard;
}

GuestDialGuard::GuestDialGuard(std::vector<net::Cidr> allowed) : allowed_(std::move(allowed)) {}

void GuestDialGuard::listening_on(const std::vector<std::string>& places) {
  net::SsrfOptions options{.allowed = allowed_, .listeners = {}, .refusal = ErrorCode::kCapabilityDenied};
  for (const std::string& text : places) {
    const auto place = parse_host_and_port(text);
    if (!place) continue;  // a Unix socket
    boost::system::error_code failed;
    auto address = ip::make_address(place->host, failed);
    // A name may stand for any of our addresses.
    if (failed) address = ip::address_v4::any();
    options.listeners.push_back({.address = address, .port = place->port});
  }
  guard_.store(std::make_shared<const net::SsrfGuard>(std::move(options)));
}

std::function<Status(const ip::address&, std::uint16_t)> GuestDialGuard::dial_guard() const {
  return [this](const ip::address& address, std::uint16_t port) { return guard_.load()->check(address, port); };
}

}  // namespace bulkhead::server
