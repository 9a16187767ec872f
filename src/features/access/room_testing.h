// For tests: the whole access room on a real database, as src/server wires it, but for a clock that stands still.
// Requests go through RouteService::handle, so a test says what a client would.
#pragma once

#include <string>

#include "features/access/authenticator.h"
#include "features/access/key_invalidations.h"
#include "features/access/route_service.h"
#include "features/access/routes.h"
#include "features/access/shared_random.h"
#include "platform/sql/test_database.h"

namespace bulkhead {
std::vector<sql::Migration> access_migrations();
}

namespace bulkhead::access {

inline constexpr const char* kTestAdminToken = "admin-token-of-the-test-0123456789";

struct TestRoom {
  explicit TestRoom(sql::Engine engine, AdmissionPort* admission = nullptr, Routes more = {},
                    Authenticator::Options options = {.platform_admin_token = kTestAdminToken,
                                                      .service_tokens = {},
                                                      .cache_for = Millis(60'000),
                                                      .cache_refusals_for = Millis(5'000),
                                                      .cache_entries_per_core = 64});

  // A key of `role` in the organization, straight through the service. Its text.
  std::string key_in(const TenantId& tenant, std::string role = "owner",
                     std::optional<std::vector<std::string>> scopes = {});
  Organization organization(std::string slug);
  TenantScope scope(const TenantId& tenant) const { return TenantScope::for_background_job(tenant, "test"); }

  net::Response send(net::Request& request) { return sql::wait(service->handle(request)); }
  net::Response send(net::Method method, std::string target, const std::string& token = {}, std::string body = {});
  json::value json_of(const net::Response& response) { return parse_json(response.body).value(); }

  ManualClock clock{{1'790'000'000'000'000}};
  SystemRandom source;
  SharedRandom random{source};
  metrics::Registry registry;
  Cores cores{2};  // never started: tests run tasks on contexts of their own, and deliver bus messages by `deliver`
  sql::TestDatabase database;
  std::unique_ptr<bus::Bus> bus = bus::make_local_bus();
  KeyInvalidations invalidations{*bus, cores.at(0)};
  OrganizationService organizations{*database, clock, random};
  ApiKeyService api_keys{*database, invalidations, clock, random};
  DenialLog denials{*database, clock, random, registry};
  Authorizer authorizer{registry, &denials};
  TenantResolver tenants{organizations};
  Authenticator authenticator;
  std::unique_ptr<RouteService> service;
  PrincipalPtr admin;
};

inline TestRoom::TestRoom(sql::Engine engine, AdmissionPort* admission, Routes more, Authenticator::Options options)
    : database(sql::open_test_database(engine, {access_migrations()})),
      authenticator(2, *database, invalidations, clock, random, registry, std::move(options)) {
  Routes routes = access_routes({*database, organizations, api_keys, tenants, authorizer, clock});
  for (Route& route : more) routes.push_back(std::move(route));
  auto table = RouteTable::build(std::move(routes));
  BH_ASSERT(table.has_value());
  service = std::make_unique<RouteService>(cores, std::move(*table), authenticator, admission, clock, registry,
                                           RouteService::Options{});
  auto made = std::make_shared<Principal>();
  made->kind = PrincipalKind::kPlatformAdmin;
  made->credential_id = "platform_admin";
  made->permissions = {"*"};
  admin = made;
}

inline Organization TestRoom::organization(std::string slug) {
  auto made = sql::wait(organizations.create({"test", "", ""}, slug, slug));
  BH_ASSERT(made.has_value());
  return *made;
}

inline std::string TestRoom::key_in(const TenantId& tenant, std::string role,
                                    std::optional<std::vector<std::string>> scopes) {
  auto issued = sql::wait(
      api_keys.create({"test", "", ""}, admin, scope(tenant),
                      {.name = role, .role = role, .scopes = std::move(scopes), .ip_allowlist = {}, .expires_at = {}}));
  BH_ASSERT(issued.has_value());
  return issued->text;
}

inline net::Response TestRoom::send(net::Method method, std::string target, const std::string& token,
                                    std::string body) {
  net::Request request;
  request.method = method;
  request.target = std::move(target);
  request.peer = boost::asio::ip::make_address("192.0.2.1");
  if (!token.empty()) request.headers.add("authorization", "Bearer " + token);
  if (!body.empty()) request.headers.add("content-type", "application/json");
  request.body = std::move(body);
  return send(request);
}

}  // namespace bulkhead::access
