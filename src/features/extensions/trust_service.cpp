#include "features/extensions/trust_service.h"

#include <algorithm>

#include "features/bundles/name.h"
#include "features/extensions/registry_store.h"
#include "features/extensions/trust_store.h"
#include "platform/bus/outbox.h"

namespace bulkhead::extensions {
namespace {

constexpr std::size_t kMaxPrefixes = 32;
constexpr std::size_t kMaxEntries = 1'000;
constexpr std::size_t kMaxParsed = 256;

std::unexpected<Error> unprocessable(std::string pointer, std::string message) {
  Error error;
  error.code = ErrorCode::kUnprocessable;
  error.message = "The trust entry is not valid: " + message + ".";
  error.fields.push_back({std::move(pointer), std::move(message)});
  return fail(std::move(error));
}

json::value audit_view(const TrustRecord& record) {
  return {{"key_id", record.key_id},
          {"kind", record.kind},
          {"label", record.label},
          {"prefixes", json::array(record.prefixes.begin(), record.prefixes.end())}};
}

// What both kinds of transaction do alike; they differ in whose entries they see and whose chain they append to.
Status append_to_chain(sql::SystemTx& tx, const access::AuditEntry& entry, UtcMicros now, Random& random) {
  return access::append_platform_audit(tx, entry, now, random);
}
Status append_to_chain(sql::TenantTx& tx, const access::AuditEntry& entry, UtcMicros now, Random& random) {
  return access::append_audit(tx, entry, now, random);
}

template <typename Tx>
Result<TrustRecord> add_entry(Tx& tx, const TrustRecord& record, const access::Actor& actor, const bus::Event& event,
                              Random& random) {
  BH_TRY(const auto present, list_trust(tx));
  if (present.size() >= kMaxEntries) return fail(ErrorCode::kConflict, "There are too many trust entries.");
  for (const TrustRecord& other : present) {
    if (other.key_id != record.key_id) continue;
    if (other.revoked_at) return fail(ErrorCode::kConflict, "This key was revoked; it can't be trusted again.");
    if (other.prefixes == record.prefixes) return other;
  }
  BH_TRY_VOID(insert_trust(tx, record));
  BH_TRY_VOID(append_to_chain(
      tx, access::audit_entry(actor, "trust.add", "trust:" + record.id.to_string(), nullptr, audit_view(record)),
      record.created_at, random));
  BH_TRY_VOID(bus::append(tx, event));
  return record;
}

template <typename Tx>
Status revoke_entry(Tx& tx, const TrustEntryId& id, const access::Actor& actor, UtcMicros now, const bus::Event& event,
                    Random& random) {
  BH_TRY_VOID(set_trust_revoked(tx, id, now));
  BH_TRY_VOID(append_to_chain(tx, access::audit_entry(actor, "trust.revoke", "trust:" + id.to_string()), now, random));
  return bus::append(tx, event);
}

}  // namespace

TrustService::TrustService(sql::Database& database, const Clock& clock, Random& random, TrustMode mode,
                           std::function<void()> after_commit)
    : database_(database), clock_(clock), random_(random), mode_(mode), after_commit_(std::move(after_commit)) {}

Result<TrustRecord> TrustService::check(const NewEntry& entry, const std::optional<TenantScope>& scope,
                                        const std::string& creator) {
  TrustRecord record{.id = TrustEntryId::v7(clock_.now(), random_),
                     .tenant = {},
                     .label = entry.label,
                     .kind = entry.pem.contains("BEGIN CERTIFICATE") ? "ca" : "key",
                     .pem = entry.pem,
                     .key_id = {},
                     .prefixes = entry.prefixes,
                     .created_by = creator,
                     .created_at = clock_.now(),
                     .revoked_at = {}};
  if (scope) record.tenant = scope->tenant();
  if (record.label.size() > 200) return unprocessable("/label", "must have at most 200 bytes");
  if (record.prefixes.size() > kMaxPrefixes) return unprocessable("/prefixes", "must have at most 32 items");
  if (record.prefixes.empty() && !scope) record.prefixes = {"*"};
  std::ranges::sort(record.prefixes);
  for (const std::string& prefix : record.prefixes) {
    if (const auto problem = bundles::prefix_problem(prefix)) return unprocessable("/prefixes", *problem);
    // A single label or "*" would reach into everybody's names.
    if (scope && bundles::name_problem(prefix)) {
      return unprocessable("/prefixes", "must be your own names, e.g. com.example");
    }
  }
  if (record.prefixes.empty()) return unprocessable("/prefixes", "must have at least one item");
  auto key_id = bundles::trust_entry_key_id({record.id.to_string(), record.pem, record.prefixes});
  if (!key_id) return unprocessable("/pem", key_id.error().message);
  record.key_id = std::move(*key_id);
  return record;
}

Task<Status> TrustService::refuse_foreign_names(TenantId tenant, std::vector<std::string> prefixes) {
  co_return co_await database_.system_read([tenant, prefixes = std::move(prefixes)](sql::SystemTx& tx) -> Status {
    for (const std::string& prefix : prefixes) {
      BH_TRY(const auto foreign, find_foreign_name(tx, prefix, tenant));
      // Which name it is would tell of another organization's private extension.
      if (foreign) return fail(ErrorCode::kForbidden, "Names under " + prefix + " belong to another organization.");
    }
    return {};
  });
}

Task<Result<TrustRecord>> TrustService::add(access::Actor actor, std::optional<TenantScope> scope, NewEntry entry) {
  BH_CO_TRY(TrustRecord record, check(entry, scope, actor.credential_id));
  if (scope) BH_CO_TRY_VOID(co_await refuse_foreign_names(scope->tenant(), record.prefixes));
  const bus::Event event =
      bus::make_event(clock_, random_, "trust.changed", {{"trust_entry_id", record.id.to_string()}});
  Result<TrustRecord> added = fail(ErrorCode::kInternal);
  if (scope) {
    added = co_await database_.write(*scope, [this, record, actor, event](sql::TenantTx& tx) {
      return add_entry(tx, record, actor, event, random_);
    });
  } else {
    added = co_await database_.system_write(
        [this, record, actor, event](sql::SystemTx& tx) { return add_entry(tx, record, actor, event, random_); });
  }
  if (added) after_commit_();
  co_return added;
}

Task<Result<std::vector<TrustRecord>>> TrustService::list(std::optional<TenantScope> scope) {
  if (scope) {
    co_return co_await database_.read(*scope, [](sql::TenantTx& tx) { return list_trust(tx); });
  }
  co_return co_await database_.system_read([](sql::SystemTx& tx) { return list_trust(tx); });
}

Task<Status> TrustService::revoke(access::Actor actor, std::optional<TenantScope> scope, TrustEntryId id) {
  const UtcMicros now = clock_.now();
  const bus::Event event = bus::make_event(clock_, random_, "trust.changed", {{"trust_entry_id", id.to_string()}});
  Status revoked;
  if (scope) {
    revoked = co_await database_.write(*scope, [this, id, actor, now, event](sql::TenantTx& tx) {
      return revoke_entry(tx, id, actor, now, event, random_);
    });
  } else {
    revoked = co_await database_.system_write(
        [this, id, actor, now, event](sql::SystemTx& tx) { return revoke_entry(tx, id, actor, now, event, random_); });
  }
  if (revoked) after_commit_();
  co_return revoked;
}

Result<bundles::TrustBundle> TrustService::parsed(const std::vector<TrustRecord>& records) {
  std::string set;
  for (const TrustRecord& record : records) set += record.id.to_string() + (record.revoked_at ? "-" : "+");
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = parsed_.find(set); found != parsed_.end()) return found->second;
  }
  std::vector<bundles::TrustEntry> entries;
  std::vector<std::string> revoked_keys;
  for (const TrustRecord& record : records) {
    if (record.revoked_at) {
      revoked_keys.push_back(record.key_id);
    } else {
      entries.push_back({record.id.to_string(), record.pem, record.prefixes});
    }
  }
  auto trust = bundles::TrustBundle::make(entries, std::move(revoked_keys));
  if (!trust) return fail_because(ErrorCode::kInternal, {}, std::move(trust.error()));  // they were checked when added
  if (mode_ == TrustMode::kDev) trust = bundles::TrustBundle::accepting_unsigned(std::move(*trust));
  const std::scoped_lock lock(mutex_);
  if (parsed_.size() >= kMaxParsed) parsed_.clear();  // each set that is in use comes back at its next load
  parsed_.insert_or_assign(std::move(set), *trust);
  return trust;
}

Task<Result<std::string>> TrustService::state() {
  co_return co_await database_.system_read([](sql::SystemTx& tx) { return trust_state(tx); });
}

Task<Result<bundles::TrustBundle>> TrustService::bundle_for(std::optional<TenantId> owner) {
  BH_CO_TRY(const auto records,
            co_await database_.system_read([owner](sql::SystemTx& tx) { return list_trust_for(tx, owner); }));
  co_return parsed(records);
}

}  // namespace bulkhead::extensions
