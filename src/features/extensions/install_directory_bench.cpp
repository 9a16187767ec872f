// A hit of the install directory: what every gateway call pays to learn what is installed. Promise: ≤ 200 ns.
#include <benchmark/benchmark.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cstdlib>
#include <filesystem>

#include "features/extensions/registry_store.h"
#include "features/extensions/sql_install_directory.h"
#include "platform/sql/engines.h"

namespace bulkhead {
std::vector<sql::Migration> extensions_migrations();
}

namespace bulkhead::extensions {
namespace {

class Fixture {
 public:
  Fixture() {
    std::string folder = (std::filesystem::temp_directory_path() / "bulkhead-XXXXXX").string();
    BH_ASSERT(::mkdtemp(folder.data()) != nullptr);
    folder_ = folder;
    database_ = std::move(*sql::open_sqlite({.path = folder + "/db"}, registry_));
    BH_ASSERT(database_->migrate(extensions_migrations()).has_value());
    fill();
    directory_.emplace(*database_, clock_, registry_);
  }
  ~Fixture() {
    database_->close();
    std::filesystem::remove_all(folder_);
  }

  SqlInstallDirectory& directory() { return *directory_; }
  TenantId tenant() const { return tenant_; }

 private:
  void fill() {
    const auto filled = database_->system_write_blocking([&](sql::SystemTx& tx) -> Status {
      const ExtensionId extension = ExtensionId::v4(random_);
      const VersionId version = VersionId::v7(clock_.now(), random_);
      const ContentHash hash = ContentHash::of("x");
      BH_TRY_VOID(
          tx.execute("INSERT INTO extension_registry VALUES ($1, $2, 'com.example.hello', '', 'public', '', 0, 0)",
                     {extension, tenant_}));
      BH_TRY_VOID(tx.execute("INSERT INTO extension_bundle VALUES ($1, $2, 1, 1, 1, 'embedded', 0)", {hash, tenant_}));
      BH_TRY_VOID(tx.execute(
          "INSERT INTO extension_version (id, tenant_id, extension_id, version, content_hash, manifest, signer_key_id, "
          "signer_trust_id, signer_subject, published_by, published_at) VALUES ($1, $2, $3, '1.0.0', $4, $5, '', '', "
          "'', '', 0)",
          {version, tenant_, extension, hash,
           R"({"name":"com.example.hello","version":"1.0.0","runtime":"wasm-core@1"})"}));
      BH_TRY_VOID(tx.execute(
          "INSERT INTO tenant_extension_install VALUES ($1, $2, $3, $4, NULL, NULL, 0, '[]', '[]', '{}', '{}', 1, "
          "'installed', 'a', 'ready', NULL, 0, NULL, 1, '', 0, 0)",
          {InstallId::v4(random_), tenant_, extension, version}));
      return {};
    });
    BH_ASSERT(filled.has_value());
  }

  SystemClock clock_;
  SystemRandom random_;
  metrics::Registry registry_;
  std::filesystem::path folder_;
  TenantId tenant_ = TenantId::v4(random_);
  std::unique_ptr<sql::Database> database_;
  std::optional<SqlInstallDirectory> directory_;
};

Task<> look(SqlInstallDirectory& directory, TenantId tenant, benchmark::State& state) {
  const std::string name = "com.example.hello";
  BH_ASSERT(*co_await directory.find(tenant, name) != nullptr);
  for (auto _ : state) {
    auto found = co_await directory.find(tenant, name);
    benchmark::DoNotOptimize(found);
  }
}

void install_directory_hit(benchmark::State& state) {
  static Fixture fixture;
  asio::io_context context(1);
  asio::co_spawn(context, look(fixture.directory(), fixture.tenant(), state), asio::detached);
  context.run();
}
BENCHMARK(install_directory_hit)->ThreadRange(1, 2)->UseRealTime();

}  // namespace
}  // namespace bulkhead::extensions

BENCHMARK_MAIN();
