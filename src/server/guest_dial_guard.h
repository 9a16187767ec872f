// GuestDialGuard: which addresses guests' requests may reach, as the configuration says (contracts/access.md, SSRF
// guard): global ones, or those of `egress.allowed_cidrs`; never our own listeners. Those are known only once they
// listen, maybe on ports that the system chose, so the rules are replaced then.
//
// Owned by the composition root; outlives every request. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "platform/net/ssrf_guard.h"

namespace bulkhead::server {

class GuestDialGuard {
 public:
  // kUnprocessable: one of them is no address block.
  static Result<std::unique_ptr<GuestDialGuard>> make(const std::vector<std::string>& allowed_cidrs);

  // Our own listeners, "127.0.0.1:8080"; all of them at each call.
  void listening_on(const std::vector<std::string>& places);
  // As the HTTP client wants it; refuses with kCapabilityDenied.
  std::function<Status(const boost::asio::ip::address&, std::uint16_t port)> dial_guard() const;

 private:
  explicit GuestDialGuard(std::vector<net::Cidr> allowed);
  std::vector<net::Cidr> allowed_;
  std::atomic<std::shared_ptr<const net::SsrfGuard>> guard_;
};

}  // namespace bulkhead::server
