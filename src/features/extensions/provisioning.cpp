#include "features/extensions/provisioning.h"

#include "features/extensions/install_store.h"
#include "platform/observe/log.h"

namespace bulkhead::extensions {
namespace {

constexpr Micros kStale = std::chrono::minutes(1);  // another node's run that stopped half-way
constexpr std::size_t kBatch = 100;

Task<Status> write_status(sql::Database& database, InstallId install, RunnerStatus status, std::string ref) {
  co_return co_await database.system_write(
      [install, status = std::move(status), ref = std::move(ref)](sql::SystemTx& tx) {
        return set_runner_status(tx, install, status, ref);
      });
}

}  // namespace

Task<Result<std::string>> LocalProvisioner::provision([[maybe_unused]] InstallId install,
                                                      [[maybe_unused]] std::string domain) {
  co_return "local";
}

Task<Status> Provisioning::run_once() {
  const UtcMicros stale = clock_.now() - kStale;
  BH_CO_TRY(const auto waiting, co_await database_.system_read(
                                    [stale](sql::SystemTx& tx) { return list_unprovisioned(tx, stale, kBatch); }));
  for (const UnprovisionedInstall& install : waiting) {
    BH_CO_TRY_VOID(co_await provision(install.id, install.domain));
  }
  co_return Status();
}

Task<Status> Provisioning::provision(InstallId install, std::string domain) {
  BH_CO_TRY_VOID(co_await write_status(database_, install, {RunnerState::kProvisioning, "", clock_.now()}, ""));
  auto ref = co_await provisioner_.provision(install, std::move(domain));
  if (!ref) {
    log::warn("install_provisioning_failed", ref.error(), {{"install_id", install.to_string()}});
    const std::string message =
        ref.error().message.empty() ? std::string(error_info(ref.error().code).title) : ref.error().message;
    co_return co_await write_status(database_, install, {RunnerState::kError, message, clock_.now()}, "");
  }
  co_return co_await write_status(database_, install, {RunnerState::kReady, "", clock_.now()}, std::move(*ref));
}

}  // namespace bulkhead::extensions
