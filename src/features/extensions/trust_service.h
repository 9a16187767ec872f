// Who may sign which names: the platform's trust entries and each organization's own (contracts/extensions.md §1).
//
// An organization's entries count for its own extensions only, are bound to concrete prefixes, and never reach a name
// of another organization. Entries are never deleted: revoking one also bans its key, at every later load. No HTTP
// here.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "features/access/audit.h"
#include "features/bundles/signing.h"
#include "features/extensions/records.h"
#include "platform/async/task.h"
#include "platform/sql/database.h"

namespace bulkhead::extensions {

// Unsigned bundles pass in dev mode only; the composition root says so loudly at start.
enum class TrustMode : std::uint8_t { kEnforced, kDev };

class TrustService {
 public:
  // All outlive the service; `random` is thread-safe. `after_commit` wakes the outbox's relay.
  TrustService(sql::Database& database, const Clock& clock, Random& random, TrustMode mode,
               std::function<void()> after_commit);

  struct NewEntry {
    std::string pem;                    // a public key or a CA certificate
    std::vector<std::string> prefixes;  // empty: "*", for the platform only
    std::string label;
  };
  // Without a scope: an entry of the platform. Adding the same key with the same prefixes again gives the entry that is
  // there. kUnprocessable, kForbidden (a prefix that reaches another organization's name), kConflict (a revoked key).
  Task<Result<TrustRecord>> add(access::Actor actor, std::optional<TenantScope> scope, NewEntry entry);
  Task<Result<std::vector<TrustRecord>>> list(std::optional<TenantScope> scope);
  // kNotFound.
  Task<Status> revoke(access::Actor actor, std::optional<TenantScope> scope, TrustEntryId id);

  // Differs from before once any entry was added or revoked: for whoever does not hear of `trust.changed`.
  Task<Result<std::string>> state();
  // What counts for the extensions of `owner` (none: only the platform's entries). The entries are read afresh each
  // time; keys and certificates are parsed anew only when the entries differ from those of before.
  Task<Result<bundles::TrustBundle>> bundle_for(std::optional<TenantId> owner);

 private:
  Result<TrustRecord> check(const NewEntry& entry, const std::optional<TenantScope>& scope, const std::string& creator);
  Task<Status> refuse_foreign_names(TenantId tenant, std::vector<std::string> prefixes);
  Result<bundles::TrustBundle> parsed(const std::vector<TrustRecord>& records);
  sql::Database& database_;
  const Clock& clock_;
  Random& random_;
  TrustMode mode_;
  std::function<void()> after_commit_;

  std::mutex mutex_;
  // By what tells one set of entries from another: they never change, they are only added and revoked.
  std::unordered_map<std::string, bundles::TrustBundle> parsed_;
};

}  // namespace bulkhead::extensions
