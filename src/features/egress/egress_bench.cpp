// http.fetch on loopback, without runner and guest: JSON in, JSON out, one core. The upstream answers 1 KiB and has its
// own threads, so on a small machine the two share the processor. client_alone is the HTTP client alone: what the
// policy around it costs is the difference.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "features/egress/egress_service.h"
#include "platform/net/http_client_test_server.h"

namespace bulkhead::egress {
namespace {

std::string small_answer(const net::RawServer::Seen& /*request*/) {
  return "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1024\r\n\r\n" + std::string(1024, 'x');
}

struct Bench {
  SystemClock clock;
  SystemRandom random;
  metrics::Registry registry;
  Cores cores{1};
  net::RawServer server{small_answer};
  std::shared_ptr<extensions::InstalledExtension> install = std::make_shared<extensions::InstalledExtension>();
  broker::ExecutionTable table{clock, random};
  EgressService service{
      cores,
      {.dial_guard = [](const auto& /*address*/, auto /*port*/) { return Status(); }, .max_in_flight_per_install = 64},
      clock,
      registry};
  std::unique_ptr<net::HttpClient> client = net::make_http_client(cores.at(0));
  std::vector<double> micros;

  Bench() {
    install->install_id = InstallId::v4(random);
    install->tenant_id = TenantId::v4(random);
    install->granted_egress = {"127.0.0.1:" + std::to_string(server.port())};
    install->limits.egress = 1'000'000_GiB;
  }
  broker::HostCallContext execution() {
    const protocol::ExecuteContext context{};
    const auto handle = table.mint(install, clock.steady_now() + std::chrono::hours(1), context);
    return {handle, table.find(handle)};
  }
};

Task<> keep_fetching(Bench& bench, std::int64_t& left) {
  const auto context = bench.execution();
  const json::value request{{"url", bench.server.url("/path?query=1")}, {"headers", {{"accept", "text/plain"}}}};
  while (left-- > 0) {
    const auto begun = std::chrono::steady_clock::now();
    const auto result = co_await bench.service.fetch(context, request);
    BH_ASSERT(result.code == protocol::HostCode::kOk);
    bench.micros.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begun).count());
  }
}

Task<> keep_sending(Bench& bench, std::int64_t& left) {
  while (left-- > 0) {
    const auto begun = std::chrono::steady_clock::now();
    const auto result = co_await bench.client->send({.url = bench.server.url("/path?query=1")});
    BH_ASSERT(result.has_value());
    bench.micros.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begun).count());
  }
}

void run(benchmark::State& state, Task<> (*loop)(Bench&, std::int64_t&)) {
  Bench bench;
  auto& context = bench.cores.at(0).context();
  constexpr std::int64_t kBatch = 2'000;
  while (state.KeepRunning()) {
    std::int64_t left = kBatch;
    std::int64_t running = state.range(0);
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      asio::co_spawn(context, loop(bench, left), [&](const std::exception_ptr&) {
        if (--running == 0) context.stop();
      });
    }
    context.restart();
    context.run();
  }
  std::ranges::sort(bench.micros);
  state.SetItemsProcessed(state.iterations() * kBatch);
  state.counters["p50_us"] = bench.micros.at(bench.micros.size() / 2);
  state.counters["p99_us"] = bench.micros.at(bench.micros.size() * 99 / 100);
}

void fetches(benchmark::State& state) { run(state, keep_fetching); }
void client_alone(benchmark::State& state) { run(state, keep_sending); }
BENCHMARK(fetches)->Arg(1)->Arg(32)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(client_alone)->Arg(1)->Arg(32)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace bulkhead::egress

BENCHMARK_MAIN();
