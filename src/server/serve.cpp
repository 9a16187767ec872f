#include "server/serve.h"

#include <unistd.h>

#include "platform/observe/log.h"
#include "server/platform.h"
#include "server/service_keys.h"
#include "server/stores.h"
#include "server/version.h"

namespace bulkhead::server {
namespace {

log::Level level_of(const std::string& text) {
  if (text == "debug") return log::Level::kDebug;
  if (text == "warn") return log::Level::kWarn;
  if (text == "error") return log::Level::kError;
  return log::Level::kInfo;
}

}  // namespace

Status serve(const Config& config, Role role) {
  log::start(level_of(config.log_level));
  log::hold();
  auto platform = Platform::start(config, role);
  if (!platform && platform.error().code == ErrorCode::kShuttingDown) {
    log::info("stopped");
    log::stop();
    return {};
  }
  if (!platform) {
    log::error("start_failed", platform.error());
    log::stop();
    return fail(std::move(platform.error()));
  }
  const std::string address = (*platform)->address();
  log::ready({{"address", address}, {"pid", ::getpid()}, {"version", kVersion}});
  (*platform)->run_until_signal();
  platform->reset();
  log::info("stopped");
  log::stop();
  return {};
}

Status migrate_database(const Config& config) {
  metrics::Registry registry;
  BH_TRY(const DataFolder folder, open_data_folder(config.data_dir));
  BH_TRY(const auto database, open_database(config, folder, registry));
  BH_TRY_VOID(migrate(*database, Millis(0)));
  database->close();
  return {};
}

Result<std::string> make_runner_token(const Config& config) {
  BH_TRY(const DataFolder folder, open_data_folder(config.data_dir));
  BH_TRY(const ServiceKeys keys, load_or_create_service_keys(folder.keys() + "/service.key"));
  const UtcMicros now = SystemClock().now();
  return sign_service_token({.issuer = "cli",
                             .audience = "runner",
                             .issued_at = now,
                             .expires_at = now + kServiceTokenLifetime,
                             .tenants = {}},
                            keys.secret_key);
}

}  // namespace bulkhead::server
