// API keys of an organization: create, list, rotate with an overlap window, revoke at once (contracts/access.md).
// The rules; no HTTP. Used on any core; transactions run on database threads.
//
// Nobody can make a key that may do more than they may themselves, and a rotation makes a key, so the same rule holds
// there. A revoked or shortened key is forgotten by every cache of this node before the call returns.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/tenant_scope.h"
#include "features/access/api_key_store.h"
#include "features/access/audit.h"
#include "features/access/key_invalidations.h"
#include "features/access/principal.h"
#include "platform/async/task.h"

namespace bulkhead::access {

struct NewApiKey {
  std::string name;
  std::string role;
  std::optional<std::vector<std::string>> scopes;
  std::vector<std::string> ip_allowlist;
  std::optional<UtcMicros> expires_at;
};

// The only place where a key's text exists after `generate_api_key`; shown once.
struct IssuedApiKey {
  ApiKeyRecord record;
  std::string text;
};

class ApiKeyService {
 public:
  static constexpr std::int64_t kKeysPerOrganization = 1'000;
  static constexpr std::chrono::seconds kLongestOverlap = std::chrono::hours(24 * 30);

  // All outlive the service; `random` is thread-safe (shared_random.h).
  ApiKeyService(sql::Database& database, KeyInvalidations& invalidations, const Clock& clock, Random& random);

  // kUnprocessable (fields named), kForbidden (more than the creator may), kConflict (too many keys).
  Task<Result<IssuedApiKey>> create(Actor actor, PrincipalPtr creator, TenantScope scope, NewApiKey wanted);
  Task<Result<std::vector<ApiKeyRecord>>> list(TenantScope scope, std::string after, std::size_t limit);
  // A new key with the old one's name, role, scopes and allowlist; the old one ends after `overlap` (or when it would
  // have anyway). kNotFound, kConflict when the old key is not active.
  Task<Result<IssuedApiKey>> rotate(Actor actor, PrincipalPtr creator, TenantScope scope, ApiKeyId id,
                                    std::chrono::seconds overlap);
  // Revoking twice is the same as once. kNotFound.
  Task<Result<ApiKeyRecord>> revoke(Actor actor, TenantScope scope, ApiKeyId id);

 private:
  sql::Database& database_;
  KeyInvalidations& invalidations_;
  const Clock& clock_;
  Random& random_;
};

// What a key with this role and these scopes may do; empty for an unknown role.
std::vector<std::string> permissions_of(const std::string& role, const std::optional<std::vector<std::string>>& scopes);

}  // namespace bulkhead::access
