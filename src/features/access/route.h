// One row of the route table: method, path, access, limits class, body plan, handler (architecture.md, Layers). Every
// room's routes.cpp returns a list of these; src/server joins them. Tests walk the joined table.
//
// Patterns: segments are literal, `:name` (one non-empty segment) or, last, `*name` (all that is left, possibly
// nothing). Literal wins over `:name`, `:name` over `*name`. Where there is no route for them, HEAD is served by GET
// and OPTIONS by the table itself.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "features/access/admission.h"
#include "features/access/audit.h"
#include "features/access/principal.h"
#include "platform/net/http.h"
#include "platform/net/http_server.h"

namespace bulkhead::access {

// What a handler gets. Lives on the connection's core for the time of the request.
struct RouteContext {
  net::Request& request;
  PrincipalPtr principal;  // never null; anonymous on public routes
  std::string request_id;
  std::string trace_parent;  // W3C traceparent of this server's span
  std::string_view route;    // the pattern, for metrics and denials
  // Path parameters. `:name` is percent-decoded; `*name` is as sent, because it must be split into segments before it
  // is decoded (RFC 3986 §2.4).
  std::vector<std::pair<std::string, std::string>> params{};
  boost::asio::ip::address client{};  // after trusted_proxies
  std::size_t core = 0;
  bool local_socket = false;  // came by a Unix socket: `client` means nothing
  LimitClass limit = LimitClass::kRead;
  AdmissionPort* admission_port = nullptr;
  Admission admission{};  // what the answer's RateLimit headers say

  const std::string& param(std::string_view name) const;  // asserts that the pattern has it
  // The organization meant: the key's, else `x-tenant-id` (contracts/extensions.md §4) by id or slug must be resolved
  // by the caller; this returns only the key's.
  std::optional<TenantId> key_tenant() const { return principal->tenant; }
  // Takes the request's tokens; kRateLimited with the time to wait. For routes with Admit::kByHandler, once.
  Status admit();
  // Who acts, for the audit log.
  Actor actor() const;
};

// When a request's rate is checked: before its handler, or by the handler's own call of `RouteContext::admit`, where a
// contract orders other refusals first (the gateway, contracts/extensions.md §4).
enum class Admit : std::uint8_t { kBeforeHandler, kByHandler };

struct Route {
  net::Method method = net::Method::kGet;
  std::string pattern;  // "/api/installs/:id", "/api/ext/:extension/*path"
  // Public routes carry the reason why; all others the permission that the handler will ask authorize() for (which one
  // tenant-scoped handlers check themselves, with the tenant they resolve). "any" = every authenticated principal.
  struct Public {
    std::string_view why;
  };
  struct Permission {
    std::string_view name;
  };
  std::variant<Public, Permission> access = Permission{"any"};
  LimitClass limit = LimitClass::kRead;
  net::BodyPlan body{};
  std::string_view summary{};  // one line, for OpenAPI
  std::function<Task<net::Response>(RouteContext&)> handler;
  Admit admit = Admit::kBeforeHandler;

  bool is_public() const { return std::holds_alternative<Public>(access); }
};
using Routes = std::vector<Route>;

}  // namespace bulkhead::access
