#include "server/keyring.h"

#include "features/secrets/secret_store.h"
#include "platform/observe/log.h"

namespace bulkhead::server {
namespace {

// Before a new keyring is made: nothing may depend on an old one.
Status refuse_with_secrets(sql::Database& database, const std::string& path) {
  BH_TRY(const auto usage, database.system_write_blocking(secrets::key_usage));
  if (usage.empty()) return {};
  std::int64_t secrets = 0;
  std::string kids;
  for (const secrets::KeyUsage& used : usage) {
    secrets += used.secrets;
    kids += (kids.empty() ? "" : ", ") + used.kid;
  }
  return fail(ErrorCode::kKeyUnavailable,
              "There is no keyring in " + path + ", but " + std::to_string(secrets) +
                  " secrets are encrypted with the key " + kids +
                  ". Restore that file from your backup, or set encryption.keyring (docs/guides/secrets.md).");
}

}  // namespace

Result<OpenedKeyring> open_keyring(const Config& config, const DataFolder& folder, Role role, sql::Database& database,
                                   Random& random) {
  if (!config.keyring.empty()) {
    const std::string place = "the setting encryption.keyring";
    BH_TRY(kms::Keyring keys, kms::Keyring::parse(config.keyring, place));
    return OpenedKeyring{std::move(keys), place};
  }
  const std::string path = folder.keys() + "/keyring.json";
  auto loaded = kms::Keyring::load(path);
  if (!loaded && loaded.error().code != ErrorCode::kNotFound) return fail(std::move(loaded.error()));
  if (loaded) return OpenedKeyring{std::move(*loaded), path};
  if (role == Role::kRunnersOnly) {
    log::warn("no_keyring", {{"path", path}, {"meaning", "guests of these runners can't read secrets"}});
    return OpenedKeyring{kms::Keyring::generate(random), path};
  }
  BH_TRY_VOID(refuse_with_secrets(database, path));
  BH_TRY(kms::Keyring made, kms::Keyring::create(path, random));
  log::info("keyring_made", {{"path", path}, {"key", made.current_kid()}, {"next", "back it up"}});
  return OpenedKeyring{std::move(made), path};
}

}  // namespace bulkhead::server
