// The rate check that every request pays: three buckets (address, principal, tenant), alone and with threads that share
// the tenant's bucket.
#include "features/guard/rate_limiter.h"

#include <benchmark/benchmark.h>

namespace bulkhead::guard {
namespace {

struct Room {
  SystemClock clock;
  SystemRandom random;
  metrics::Registry registry;
  TenantId tenant = TenantId::v4(random);
  RateLimiter limiter{limits(), 65'536, clock, random, registry};

  static RateLimits limits() {
    RateLimits limits;
    limits.of(access::LimitClass::kExecute) = {.address = {1e8, 1e8}, .principal = {1e8, 1e8}, .tenant = {1e8, 1e8}};
    return limits;
  }
};

Room& room() {
  static Room the_room;
  return the_room;
}

void check_three_buckets(benchmark::State& state) {
  Room& here = room();
  access::Principal principal;
  principal.kind = access::PrincipalKind::kApiKey;
  principal.credential_id = "key:0192f0c1-2345-7890-abcd-00000000000" + std::to_string(state.thread_index());
  principal.tenant = here.tenant;
  const access::AdmissionClient client{
      boost::asio::ip::address_v4(0x0a000000U + static_cast<std::uint32_t>(state.thread_index()))};
  for (auto _ : state) benchmark::DoNotOptimize(here.limiter.admit(access::LimitClass::kExecute, client, principal));
}
BENCHMARK(check_three_buckets)->Threads(1)->Threads(2);

void flood_of_addresses(benchmark::State& state) {
  Room& here = room();
  const access::Principal anonymous;
  std::uint32_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        here.limiter.admit(access::LimitClass::kExecute, {boost::asio::ip::address_v4(next++)}, anonymous));
  }
}
BENCHMARK(flood_of_addresses);

}  // namespace
}  // namespace bulkhead::guard

BENCHMARK_MAIN();
