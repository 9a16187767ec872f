// Opening an envelope of a 100-byte value with its data key in memory: the promise is 200,000/s on one core
// (docs/guides/secrets.md). Beside it what it is made of.
#include "platform/kms/envelopes.h"

#include <benchmark/benchmark.h>

#include "platform/kms/room_testing.h"

namespace bulkhead::kms {
namespace {

struct Fixture {
  SystemClock clock;
  SystemRandom random;
  metrics::Registry registry;
  LocalKms kms{Keyring::generate(random), random};
  Envelopes envelopes{{kms, clock, random, registry}};
  Place place{.table = "extension_secret",
              .column = "value_enc",
              .row = "0192f0c1-2345-4890-abcd-000000000001/api_key",
              .tenant = TenantId::v4(random)};
};

Fixture& fixture() {
  static Fixture the_fixture;
  return the_fixture;
}

void open_cached(benchmark::State& state) {
  Fixture& here = fixture();
  const std::string value(static_cast<std::size_t>(state.range(0)), 'v');
  const std::string text = *run_now(here.envelopes.seal(here.place, SecretString(value)));
  for (auto _ : state) {
    auto opened = here.envelopes.open_now(here.place, text);
    BH_ASSERT(opened && opened->has_value());
    benchmark::DoNotOptimize(*opened);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(open_cached)->Arg(100)->Arg(1024)->Arg(65'536);

void parse_only(benchmark::State& state) {
  Fixture& here = fixture();
  const std::string text = *run_now(here.envelopes.seal(here.place, SecretString(std::string(100, 'v'))));
  for (auto _ : state) benchmark::DoNotOptimize(parse_envelope(text));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(parse_only);

void unwrap_data_key(benchmark::State& state) {
  Fixture& here = fixture();
  const auto wrapped = *run_now(here.kms.wrap(SecretString(std::string(32, 'k')), "tenant"));
  for (auto _ : state) {
    benchmark::DoNotOptimize(run_now(here.kms.unwrap(wrapped, "tenant")));
  }
}
BENCHMARK(unwrap_data_key);

}  // namespace
}  // namespace bulkhead::kms

BENCHMARK_MAIN();
