#include "features/secrets/secret_service.h"

#include <algorithm>

#include "base/utf8.h"
#include "features/bundles/manifest.h"
#include "features/extensions/install_store.h"
#include "platform/async/cores.h"
#include "platform/bus/outbox.h"
#include "platform/observe/log.h"

namespace bulkhead::secrets {
namespace {

constexpr Millis kCleanInterval{60'000};

std::unexpected<Error> no_install() { return fail(ErrorCode::kNotFound, "There is no such install."); }

std::unexpected<Error> refused(std::string pointer, std::string message) {
  Error error{.code = ErrorCode::kUnprocessable, .message = message, .detail = {}, .fields = {}, .cause = {}};
  error.fields.push_back({std::move(pointer), std::move(message)});
  return fail(std::move(error));
}

Status check_value(const SecretString& value) {
  if (value.empty()) return refused("/value", "The value is empty; delete the secret instead.");
  if (value.size() > kMaxValue.value) {
    return fail(ErrorCode::kPayloadTooLarge, "A secret holds at most " + to_string(kMaxValue) + ".");
  }
  if (!is_valid_utf8(value.view())) return refused("/value", "The value is not UTF-8; encode binary data as base64.");
  return {};
}

bus::Event changed_event(const Clock& clock, Random& random, const InstallId& install, const std::string& key,
                         std::string_view action) {
  return bus::make_event(clock, random, "secret.changed",
                         {{"install_id", install.to_string()}, {"name", key}, {"action", action}});
}

access::AuditEntry audit_of(const access::Actor& actor, std::string action, const InstallId& install,
                            const std::string& key) {
  return access::audit_entry(actor, std::move(action), "install:" + install.to_string() + "/secrets/" + key, nullptr,
                             json::object{{"name", key}});
}

}  // namespace

bool is_valid_key(std::string_view key) {
  return !key.empty() && key.size() <= kMaxKey && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

SecretService::SecretService(Dependencies dependencies, EnvelopeCache::Limits cache)
    : dependencies_(std::move(dependencies)),
      cache_(dependencies_.clock, cache),
      reads_(dependencies_.metrics.counter("secrets_reads_total", "Secrets read by guests.")),
      loads_(dependencies_.metrics.counter("secrets_loads_total", "Reads of a secret that asked the store.")) {}

// Of the version in place and of the one that is being rolled out: either may run.
Task<Result<std::vector<std::string>>> SecretService::declared_names(TenantScope scope, InstallId install) {
  BH_CO_TRY(const extensions::InstallDetails found, co_await dependencies_.installs.find(scope, install));
  std::vector<VersionId> versions{found.install.version_id};
  if (found.install.rollout_version_id) versions.push_back(*found.install.rollout_version_id);
  std::vector<std::string> names;
  for (const VersionId id : versions) {
    BH_CO_TRY(const extensions::Version version, co_await dependencies_.registry.version(id));
    BH_CO_TRY(const bundles::Manifest manifest, bundles::parse_manifest(version.manifest_json));
    names.insert(names.end(), manifest.secrets.begin(), manifest.secrets.end());
  }
  co_return names;
}

Task<Status> SecretService::check_declared(TenantScope scope, InstallId install, const std::string& key) {
  BH_CO_TRY(const auto names, co_await declared_names(scope, install));
  if (!is_valid_key(key)) co_return refused("/key", "A secret's name is 1 to 64 letters, digits, '_', '.' and '-'.");
  if (std::ranges::find(names, key) != names.end()) co_return Status();
  std::string message = "The extension's manifest declares no secret \"" + key + "\"";
  const std::vector<std::string_view> known(names.begin(), names.end());
  if (const auto nearest = nearest_name(key, known)) {
    message += "; did you mean \"" + *nearest + "\"?";
  } else {
    message += names.empty() ? "; it declares none." : ".";
  }
  co_return refused("/key", std::move(message));
}

Task<Status> SecretService::put(access::Actor actor, TenantScope scope, InstallId install, std::string key,
                                SecretString value) {
  BH_CO_TRY_VOID(co_await check_declared(scope, install, key));
  BH_CO_TRY_VOID(check_value(value));
  BH_CO_TRY(std::string envelope,
            co_await dependencies_.envelopes.seal(place_of(scope.tenant(), install, key), std::move(value)));
  BH_CO_TRY(std::string kid, kms::kid_of(envelope));
  const StoredSecret secret{.install = install, .key = key, .envelope = std::move(envelope), .kid = std::move(kid)};
  const UtcMicros now = dependencies_.clock.now();
  const bus::Event event = changed_event(dependencies_.clock, dependencies_.random, install, key, "put");
  BH_CO_TRY_VOID(co_await dependencies_.database.write(scope, [&](sql::TenantTx& tx) -> Status {
    BH_TRY(const auto present, extensions::find_own_install(tx, install));
    if (!present) return no_install();
    BH_TRY(const std::int64_t others, count_others(tx, install, key));
    if (others >= kMaxSecrets) {
      return refused("/key", "The install has " + std::to_string(kMaxSecrets) + " secrets already; delete one first.");
    }
    BH_TRY_VOID(put_secret(tx, secret, actor.credential_id, now));
    BH_TRY_VOID(access::append_audit(tx, audit_of(actor, "secret.put", install, key), now, dependencies_.random));
    return bus::append(tx, event);
  }));
  cache_.evict(install);
  dependencies_.after_commit();
  co_return Status();
}

Task<Status> SecretService::remove(access::Actor actor, TenantScope scope, InstallId install, std::string key) {
  const UtcMicros now = dependencies_.clock.now();
  const bus::Event event = changed_event(dependencies_.clock, dependencies_.random, install, key, "delete");
  BH_CO_TRY(const bool removed, co_await dependencies_.database.write(scope, [&](sql::TenantTx& tx) -> Result<bool> {
    BH_TRY(const auto present, extensions::find_own_install(tx, install));
    if (!present) return no_install();
    BH_TRY(const bool found, delete_secret(tx, install, key));
    if (!found) return false;
    BH_TRY_VOID(access::append_audit(tx, audit_of(actor, "secret.delete", install, key), now, dependencies_.random));
    BH_TRY_VOID(bus::append(tx, event));
    return true;
  }));
  if (!removed) co_return Status();
  cache_.evict(install);
  dependencies_.after_commit();
  co_return Status();
}

Task<Result<std::vector<SecretInfo>>> SecretService::list(TenantScope scope, InstallId install) {
  co_return co_await dependencies_.database.read(
      scope, [install](sql::TenantTx& tx) -> Result<std::vector<SecretInfo>> {
        BH_TRY(const auto present, extensions::find_own_install(tx, install));
        if (!present) return no_install();
        return list_secrets(tx, install);
      });
}

Task<Result<EnvelopeCache::Stored>> SecretService::stored(TenantScope scope, InstallId install, std::string key) {
  if (auto cached = cache_.find(install, key)) co_return std::move(*cached);
  const std::uint64_t ticket = cache_.ticket(install);
  loads_.add();
  BH_CO_TRY(auto found, co_await dependencies_.database.read(
                            scope, [install, key](sql::TenantTx& tx) { return find_envelope(tx, install, key); }));
  EnvelopeCache::Stored envelope;
  if (found) envelope = std::make_shared<const std::string>(std::move(*found));
  cache_.keep(install, key, envelope, ticket);
  co_return envelope;
}

Task<Result<SecretString>> SecretService::read(TenantScope scope, InstallId install, std::string key) {
  reads_.add();
  BH_CO_TRY(const EnvelopeCache::Stored envelope, co_await stored(scope, install, key));
  if (!envelope) co_return fail(ErrorCode::kNotFound, "The secret \"" + key + "\" is not set.");
  const kms::Place place = place_of(scope.tenant(), install, key);
  if (auto opened = dependencies_.envelopes.open_now(place, *envelope)) co_return std::move(*opened);
  co_return co_await dependencies_.envelopes.open(place, *envelope);
}

Task<Status> SecretService::check_keys(std::string keyring) {
  BH_CO_TRY(const auto usage, co_await dependencies_.database.system_read(key_usage));
  for (const KeyUsage& used : usage) {
    const kms::Place place = place_of(used.tenant, used.sample.install, used.sample.key);
    const auto opened = co_await dependencies_.envelopes.open(place, used.sample.envelope);
    if (opened) continue;
    const bool absent = opened.error().code == ErrorCode::kKeyUnavailable;
    Error error = fail_because(ErrorCode::kKeyUnavailable,
                               std::to_string(used.secrets) + " secrets are encrypted with the key " + used.kid + ", " +
                                   (absent ? "which is not in " : "which is another key in ") + keyring +
                                   ". Restore the keyring that the secrets were written with (docs/guides/secrets.md).",
                               opened.error())
                      .error();
    co_return fail(std::move(error));
  }
  co_return Status();
}

void SecretService::listen(bus::Bus& bus, Core& core) {
  subscription_ = bus.subscribe(core, "secret.changed",
                                {.message =
                                     [this](const bus::Message& message) {
                                       const auto event = bus::parse_event(message);
                                       const json::value* id = event ? event->data.if_contains("install_id") : nullptr;
                                       const auto install = id != nullptr && id->is_string()
                                                                ? InstallId::parse(std::string_view(id->get_string()))
                                                                : std::nullopt;
                                       if (install) {
                                         cache_.evict(*install);
                                       } else {
                                         cache_.evict_all();  // something changed, and we can't tell what
                                       }
                                     },
                                 .lost = [this] { cache_.evict_all(); }});
}

Task<> SecretService::keep_clean() {
  for (;;) {
    co_await sleep_for(kCleanInterval);
    dependencies_.envelopes.drop_expired();
  }
}

}  // namespace bulkhead::secrets
