// What opening a stored bundle costs a node that never ran it: unpack, hash everything, verify the signature.
// Promise (first call of an installed bundle): 64 KiB within 5 ms, 10 MB within 60 ms, machine code and store included.
#include <benchmark/benchmark.h>

#include <filesystem>

#include "features/bundles/archive_writer.h"
#include "features/bundles/scratch_folder.h"
#include "features/bundles/signing.h"
#include "features/bundles/tar_forge.h"

namespace bulkhead::bundles {
namespace {

// Half incompressible, like machine code and images; the rest repeats.
std::string content(std::size_t size) {
  std::string bytes = forge::noise(size / 2);
  while (bytes.size() < size) bytes += "WebAssembly text that repeats; ";
  bytes.resize(size);
  return bytes;
}

void open_bundle(benchmark::State& state) {
  const ScratchFolder folder;
  const PrivateKey key = PrivateKey::generate(KeyKind::kEd25519);
  const auto size = static_cast<std::size_t>(state.range(0));
  BH_ASSERT(write_archive({{"manifest.json", std::string(forge::kManifest)}, {"dist/main.wasm", content(size)}},
                          folder.path("bundle"))
                .has_value());
  BH_ASSERT(sign_bundle_file(folder.path("bundle"), folder.path("bundle"), {key, {}}).has_value());
  const auto trust = TrustBundle::make({{"key", key.public_key().to_pem(), {"*"}}});
  for (auto _ : state) {
    const auto bundle = read_bundle_file(folder.path("bundle"));
    BH_ASSERT(bundle.has_value() && verify_bundle(*bundle, std::nullopt, *trust, std::nullopt).has_value());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * size));
}
BENCHMARK(open_bundle)->Arg(64 << 10)->Arg(10 << 20)->Unit(benchmark::kMillisecond);

void pack_bundle(benchmark::State& state) {
  const ScratchFolder folder;
  const std::string module = content(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    BH_ASSERT(write_archive({{"manifest.json", std::string(forge::kManifest)}, {"dist/main.wasm", module}},
                            folder.path("bundle"))
                  .has_value());
  }
}
BENCHMARK(pack_bundle)->Arg(10 << 20)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace bulkhead::bundles

BENCHMARK_MAIN();
