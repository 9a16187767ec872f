// The cost of a request's way through this room, per step: the gateway path pays all of them on every call.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <filesystem>

#include "features/access/api_key.h"
#include "features/access/authenticator.h"
#include "features/access/authorizer.h"
#include "features/access/key_invalidations.h"
#include "features/access/roles.h"
#include "features/access/route_service.h"
#include "features/access/shared_random.h"
#include "platform/sql/engines.h"

namespace bulkhead {
std::vector<sql::Migration> access_migrations();
}

namespace bulkhead::access {
namespace {

Task<net::Response> nothing(RouteContext&) { co_return net::Response::empty(204); }

RouteTable table_of_80() {
  Routes routes;
  const auto add = [&](net::Method method, std::string pattern, bool is_public) {
    Route route;
    route.method = method;
    route.pattern = std::move(pattern);
    if (is_public) route.access = Route::Public{"bench"};
    route.handler = nothing;
    routes.push_back(std::move(route));
  };
  for (int i = 0; i < 20; ++i) {
    const std::string base = "/api/v1/resource" + std::to_string(i);
    add(net::Method::kGet, base, false);
    add(net::Method::kPost, base, false);
    add(net::Method::kGet, base + "/:id", false);
    add(net::Method::kPost, base + "/:id/enable", false);
  }
  add(net::Method::kGet, "/healthz", true);
  add(net::Method::kGet, "/api/ext/:extension/*path", false);
  return std::move(*RouteTable::build(std::move(routes)));
}

// A room with one key, authenticated once so that it is cached on core 0.
struct Room {
  Room() {
    std::filesystem::create_directory(folder);
    auto opened = sql::open_sqlite({.path = (folder / "bench.db").string()}, registry);
    BH_ASSERT(opened.has_value());
    database = std::move(*opened);
    BH_ASSERT(database->migrate(access_migrations()).has_value());
    key = generate_api_key(source);
    const TenantId tenant = TenantId::v4(source);
    const auto made = database->system_write_blocking([&](sql::SystemTx& tx) -> Status {
      BH_TRY_VOID(tx.execute("INSERT INTO organization VALUES ($1, 'acme', 'Acme', 1, 0, 0)", {tenant}));
      BH_TRY_VOID(
          tx.execute("INSERT INTO api_key (id, tenant_id, name, hint, hash, role, ip_allowlist, created_by, "
                     "created_at) VALUES ($1, $2, 'k', 'h', $3, 'developer', '[]', 'bench', 0)",
                     {ApiKeyId::v4(source), tenant, ContentHash::of(key).hex()}));
      return {};
    });
    BH_ASSERT(made.has_value());
    invalidations = std::make_unique<KeyInvalidations>(*bus, cores.at(0));
    authenticator = std::make_unique<Authenticator>(1, *database, *invalidations, clock, random, registry,
                                                    Authenticator::Options{});
    service = std::make_unique<RouteService>(cores, table_of_80(), *authenticator, nullptr, clock, registry,
                                             RouteService::Options{});
    request.method = net::Method::kGet;
    request.target = "/api/ext/com.example.orders/agreements/17?expand=lines";
    request.peer = boost::asio::ip::make_address("192.0.2.1");
    request.headers.add("host", "localhost:8080");
    request.headers.add("user-agent", "bench");
    request.headers.add("accept", "*/*");
    request.headers.add("authorization", "Bearer " + key);
    BH_ASSERT(handle().status == 204);
  }
  net::Response handle() {
    net::Response response;
    asio::co_spawn(
        cores.at(0).context(),
        [](RouteService& of, net::Request& sent, net::Response& out) -> Task<> { out = co_await of.handle(sent); }(
                                                                         *service, request, response),
        asio::detached);
    cores.at(0).context().restart();
    cores.at(0).context().run();
    return response;
  }
  ~Room() {
    database->close();
    std::filesystem::remove_all(folder);
  }
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("bulkhead-access-bench-" + std::to_string(::getpid()));
  SystemClock clock;
  SystemRandom source;
  SharedRandom random{source};
  metrics::Registry registry;
  Cores cores{1};
  std::unique_ptr<bus::Bus> bus = bus::make_local_bus();
  std::unique_ptr<sql::Database> database;
  std::unique_ptr<KeyInvalidations> invalidations;
  std::unique_ptr<Authenticator> authenticator;
  std::unique_ptr<RouteService> service;
  std::string key;
  net::Request request;
};

Room& room() {
  static Room the_room;
  return the_room;
}

void match_route(benchmark::State& state) {
  const RouteTable table = table_of_80();
  const std::string_view path = "/api/ext/com.example.orders/agreements/17";
  for (auto _ : state) benchmark::DoNotOptimize(table.match(net::Method::kGet, path));
}
BENCHMARK(match_route);

void match_last_literal(benchmark::State& state) {
  const RouteTable table = table_of_80();
  for (auto _ : state) benchmark::DoNotOptimize(table.match(net::Method::kPost, "/api/v1/resource19/17/enable"));
}
BENCHMARK(match_last_literal);

void hash_key(benchmark::State& state) {
  const std::string& key = room().key;
  for (auto _ : state) benchmark::DoNotOptimize(api_key_hash(key));
}
BENCHMARK(hash_key);

void check_key_form(benchmark::State& state) {
  const std::string& key = room().key;
  for (auto _ : state) benchmark::DoNotOptimize(is_api_key(key));
}
BENCHMARK(check_key_form);

void authenticate_cached(benchmark::State& state) {
  Room& here = room();
  const RequestOrigin origin{.client = here.request.peer, .request_id = "r", .method = "GET", .route = "/x"};
  for (auto _ : state) {
    auto attempt = here.authenticator->attempt(here.request, origin);
    benchmark::DoNotOptimize(attempt);
    if (!attempt.outcome || !*attempt.outcome) state.SkipWithError("not cached");
  }
}
BENCHMARK(authenticate_cached);

void authorize(benchmark::State& state) {
  Room& here = room();
  Authorizer authorizer(here.registry);
  Principal principal;
  principal.kind = PrincipalKind::kApiKey;
  principal.tenant = TenantId::v4(here.source);
  const Role* role = find_role("developer");
  principal.permissions.assign(role->permissions.begin(), role->permissions.end());
  for (auto _ : state) {
    benchmark::DoNotOptimize(authorizer.authorize(principal, "extension:write", *principal.tenant, "/x"));
  }
}
BENCHMARK(authorize);

// Everything RouteService does for a cached key, and what the coroutine that spawns it costs alone.
void whole_request(benchmark::State& state) {
  Room& here = room();
  for (auto _ : state) benchmark::DoNotOptimize(here.handle());
}
BENCHMARK(whole_request);

void spawn_alone(benchmark::State& state) {
  asio::io_context context(1);
  for (auto _ : state) {
    net::Response response;
    asio::co_spawn(
        context,
        [](net::Response& out) -> Task<> {
          out = net::Response::empty(204);
          co_return;
        }(response),
        asio::detached);
    context.restart();
    context.run();
    benchmark::DoNotOptimize(response);
  }
}
BENCHMARK(spawn_alone);

}  // namespace
}  // namespace bulkhead::access

BENCHMARK_MAIN();
