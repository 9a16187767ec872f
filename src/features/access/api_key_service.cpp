#include "features/access/api_key_service.h"

#include <algorithm>

#include "base/json.h"
#include "base/utf8.h"
#include "features/access/address_range.h"
#include "features/access/api_key.h"
#include "features/access/roles.h"

namespace bulkhead::access {
namespace {

constexpr std::size_t kNameLimit = 100;
constexpr std::size_t kListLimit = 64;
constexpr std::size_t kHintDigits = 4;

Status check(const NewApiKey& wanted, UtcMicros now) {
  Error error = fail(ErrorCode::kUnprocessable, "The API key is not valid.").error();
  const auto problem = [&](std::string pointer, std::string message) {
    error.fields.push_back({std::move(pointer), std::move(message)});
  };
  if (wanted.name.empty() || wanted.name.size() > kNameLimit || !is_valid_utf8(wanted.name) ||
      std::ranges::any_of(wanted.name, [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
    problem("/name", "must be 1 to 100 bytes of text without control characters");
  }
  if (find_role(wanted.role) == nullptr) problem("/role", "must be owner, admin, developer, billing or viewer");
  if (wanted.scopes && wanted.scopes->size() > kListLimit) problem("/scopes", "must have at most 64 entries");
  for (std::size_t i = 0; wanted.scopes && i < wanted.scopes->size(); ++i) {
    const auto status = check_permission_pattern((*wanted.scopes)[i]);
    if (!status) problem("/scopes/" + std::to_string(i), status.error().message);
  }
  if (wanted.ip_allowlist.size() > kListLimit) problem("/ip_allowlist", "must have at most 64 entries");
  for (std::size_t i = 0; i < wanted.ip_allowlist.size(); ++i) {
    if (AddressRange::parse(wanted.ip_allowlist[i])) continue;
    problem("/ip_allowlist/" + std::to_string(i), "must be an address or a block such as 192.0.2.0/24");
  }
  if (wanted.expires_at && *wanted.expires_at <= now) problem("/expires_at", "must lie in the future");
  if (!error.fields.empty()) return fail(std::move(error));
  return {};
}

// A creator may only hand on what it has.
Status check_not_more_than(const Principal& creator, const std::vector<std::string>& permissions) {
  for (const std::string& permission : permissions) {
    if (creator.has(permission)) continue;
    return fail(ErrorCode::kForbidden, "A key can't be given more than its creator has; you lack " + permission + ".");
  }
  return {};
}

json::value audit_view(const ApiKeyRecord& record) {
  json::object view = {{"name", record.name}, {"hint", record.hint}, {"role", record.role}};
  if (record.scopes) view["scopes"] = json::array(record.scopes->begin(), record.scopes->end());
  if (!record.ip_allowlist.empty()) {
    view["ip_allowlist"] = json::array(record.ip_allowlist.begin(), record.ip_allowlist.end());
  }
  if (record.expires_at) view["expires_at"] = to_rfc3339(*record.expires_at);
  if (record.revoked_at) view["revoked_at"] = to_rfc3339(*record.revoked_at);
  if (record.rotated_from) view["rotated_from"] = record.rotated_from->to_string();
  return view;
}

std::string resource_of(const ApiKeyId& id) { return "key:" + id.to_string(); }

Status insert_new_key(sql::TenantTx& tx, const ApiKeyRecord& record, const Sha256Digest& hash) {
  BH_TRY(const std::int64_t count, count_api_keys(tx));
  if (count >= ApiKeyService::kKeysPerOrganization) {
    return fail(ErrorCode::kConflict, "The organization has 1,000 API keys; it can't have more.");
  }
  return insert_api_key(tx, record, hash);
}

IssuedApiKey issue(ApiKeyRecord record, const Actor& actor, UtcMicros now, Random& random) {
  IssuedApiKey issued{std::move(record), generate_api_key(random)};
  issued.record.id = ApiKeyId::v7(now, random);
  issued.record.hint = issued.text.substr(0, kApiKeyPrefix.size() + kHintDigits);
  issued.record.created_by = actor.credential_id;
  issued.record.created_at = now;
  issued.record.revoked_at.reset();
  issued.record.last_used_at.reset();
  return issued;
}

}  // namespace

std::vector<std::string> permissions_of(const std::string& role,
                                        const std::optional<std::vector<std::string>>& scopes) {
  const Role* found = find_role(role);
  if (found == nullptr) return {};
  if (scopes) return intersect(found->permissions, *scopes);
  return {found->permissions.begin(), found->permissions.end()};
}

ApiKeyService::ApiKeyService(sql::Database& database, KeyInvalidations& invalidations, const Clock& clock,
                             Random& random)
    : database_(database), invalidations_(invalidations), clock_(clock), random_(random) {}

Task<Result<IssuedApiKey>> ApiKeyService::create(Actor actor, PrincipalPtr creator, TenantScope scope,
                                                 NewApiKey wanted) {
  const UtcMicros now = clock_.now();
  BH_CO_TRY_VOID(check(wanted, now));
  BH_CO_TRY_VOID(check_not_more_than(*creator, permissions_of(wanted.role, wanted.scopes)));
  ApiKeyRecord record;
  record.name = std::move(wanted.name);
  record.role = std::move(wanted.role);
  record.scopes = std::move(wanted.scopes);
  record.ip_allowlist = std::move(wanted.ip_allowlist);
  record.expires_at = wanted.expires_at;
  co_return co_await database_.write(
      scope,
      [this, issued = issue(std::move(record), actor, now, random_), actor,
       now](sql::TenantTx& tx) -> Result<IssuedApiKey> {
        BH_TRY_VOID(insert_new_key(tx, issued.record, api_key_hash(issued.text)));
        BH_TRY_VOID(append_audit(
            tx, audit_entry(actor, "key.create", resource_of(issued.record.id), nullptr, audit_view(issued.record)),
            now, random_));
        return issued;
      });
}

Task<Result<std::vector<ApiKeyRecord>>> ApiKeyService::list(TenantScope scope, std::string after, std::size_t limit) {
  co_return co_await database_.read(
      scope, [after = std::move(after), limit](sql::TenantTx& tx) { return list_api_keys(tx, after, limit); });
}

Task<Result<IssuedApiKey>> ApiKeyService::rotate(Actor actor, PrincipalPtr creator, TenantScope scope, ApiKeyId id,
                                                 std::chrono::seconds overlap) {
  const UtcMicros now = clock_.now();
  auto result = co_await database_.write(
      scope, [this, actor, creator, id, overlap, now](sql::TenantTx& tx) -> Result<IssuedApiKey> {
        BH_TRY(const ApiKeyRecord old, lock_api_key(tx, id));
        if (status_of(old, now) != "active") {
          return fail(ErrorCode::kConflict, "The key is no longer active; create a new one.");
        }
        BH_TRY_VOID(check_not_more_than(*creator, permissions_of(old.role, old.scopes)));
        ApiKeyRecord next = old;
        next.rotated_from = id;
        IssuedApiKey issued = issue(std::move(next), actor, now, random_);
        BH_TRY_VOID(insert_new_key(tx, issued.record, api_key_hash(issued.text)));
        ApiKeyRecord ending = old;
        ending.expires_at = now + overlap;
        if (old.expires_at) ending.expires_at = std::min(*old.expires_at, *ending.expires_at);
        BH_TRY_VOID(set_api_key_expiry(tx, id, *ending.expires_at));
        BH_TRY_VOID(append_audit(tx,
                                 audit_entry(actor, "key.rotate", resource_of(id), audit_view(old),
                                             {{"old", audit_view(ending)},
                                              {"new", audit_view(issued.record)},
                                              {"new_id", issued.record.id.to_string()}}),
                                 now, random_));
        return issued;
      });
  if (result) invalidations_.announce(id);
  co_return result;
}

Task<Result<ApiKeyRecord>> ApiKeyService::revoke(Actor actor, TenantScope scope, ApiKeyId id) {
  const UtcMicros now = clock_.now();
  auto result = co_await database_.write(scope, [this, actor, id, now](sql::TenantTx& tx) -> Result<ApiKeyRecord> {
    BH_TRY(const ApiKeyRecord before, lock_api_key(tx, id));
    if (before.revoked_at) return before;
    ApiKeyRecord after = before;
    after.revoked_at = now;
    BH_TRY_VOID(set_api_key_revoked(tx, id, now));
    BH_TRY_VOID(append_audit(
        tx, audit_entry(actor, "key.revoke", resource_of(id), audit_view(before), audit_view(after)), now, random_));
    return after;
  });
  // Also when nothing changed: the caller wants to be sure.
  if (result) invalidations_.announce(id);
  co_return result;
}

}  // namespace bulkhead::access
