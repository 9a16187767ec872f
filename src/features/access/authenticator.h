// Turns a request's credential into a Principal (contracts/access.md, resolver chain).
//
//   Attempt attempt = authenticator.attempt(head, origin);              // no I/O; a cached key ends here
//   if (!attempt.outcome) attempt.outcome = co_await authenticator.look_up(attempt, origin);
//
// - `Authorization: Bearer` or `x-api-key`. Two different credentials, another scheme, a repeated header or a malformed
//   text are refused: a bad credential never falls through to another, nor to "anonymous".
// - API keys: this core's cache, then the checksum, then the store. Cached for at most 60 s; forgotten at once when
//   KeyInvalidations says so; a look-up that began before its key's invalidation is not cached but done again.
// - The platform admin token: compared in constant time by its hash; unset = nothing matches. Every use is counted
//   (platform_admin_uses_total, to alert on) and audited before it is let in: no audit row, no entry.
// - Service tokens: `Options::service_tokens` verifies them; the result is cached until it expires.
// Per-core state is touched on that core only; nothing is locked on the cached path.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "features/access/key_invalidations.h"
#include "features/access/principal.h"
#include "features/access/principal_cache.h"
#include "platform/async/cores.h"
#include "platform/net/http.h"
#include "platform/observe/metrics.h"
#include "platform/sql/database.h"

namespace bulkhead::access {

// Where a request came from, for allowlists and the audit row.
struct RequestOrigin {
  boost::asio::ip::address client;
  bool local_socket = false;  // came by a Unix socket: `client` means nothing
  std::string_view request_id;
  std::string_view method;
  std::string_view route;
  std::size_t core = 0;
};

class Authenticator {
 public:
  struct ServiceIdentity {
    PrincipalPtr principal;  // kind kService
    UtcMicros expires_at;
  };
  struct Options {
    std::string platform_admin_token{};  // PLATFORM_API_ADMIN_TOKEN; empty: no token is the admin's
    std::function<std::optional<ServiceIdentity>(std::string_view token)>
        service_tokens{};  // thread-safe; may be empty
    Millis cache_for{60'000};
    Millis cache_refusals_for{5'000};
    std::size_t cache_entries_per_core = 4'096;
  };
  // All outlive the authenticator; `random` is thread-safe (shared_random.h).
  Authenticator(std::size_t cores, sql::Database& database, KeyInvalidations& invalidations, const Clock& clock,
                Random& random, metrics::Registry& registry, Options options);
  ~Authenticator();

  enum class Kind : std::uint8_t { kNone, kApiKey, kPlatformAdmin, kOther };
  struct Attempt {
    std::optional<Result<PrincipalPtr>> outcome;  // nullopt: `look_up` must decide
    Kind kind = Kind::kNone;
    Sha256Digest digest{};
    std::string_view token;  // points into the request's headers
  };
  // kUnauthenticated without a credential, kInvalidCredential with a bad one.
  Attempt attempt(const net::RequestHead& head, const RequestOrigin& origin);
  // kInvalidCredential, or the store's errors. `attempt`'s request must live until it is done.
  Task<Result<PrincipalPtr>> look_up(Attempt attempt, RequestOrigin origin);

  // Writes the noted "last used" minutes of a core's keys; call on that core.
  Task<Status> write_last_used(std::size_t core);
  // Does so every 20 s, for as long as the core runs: cores.spawn(i, [&] { return authenticator.keep_last_used(i); }).
  Task<> keep_last_used(std::size_t core);

 private:
  struct CoreState;
  struct Counters;
  CoreState& state_of(std::size_t core);
  void forget_invalidated(CoreState& state) const;
  void judge_form(Attempt& attempt);
  Result<PrincipalPtr> admit(const KnownCredential& known, const RequestOrigin& origin);
  Result<PrincipalPtr> refuse(std::string_view reason);
  Task<Result<PrincipalPtr>> look_up_key(Sha256Digest digest, RequestOrigin origin);
  Task<Result<PrincipalPtr>> admit_platform_admin(RequestOrigin origin);
  Result<PrincipalPtr> admit_service(const Attempt& attempt, const RequestOrigin& origin);

  sql::Database& database_;
  KeyInvalidations& invalidations_;
  const Clock& clock_;
  Random& random_;
  Options options_;
  std::optional<Sha256Digest> admin_digest_;
  PrincipalPtr admin_;
  std::vector<std::unique_ptr<CoreState>> states_;
  std::unique_ptr<Counters> counters_;
};

}  // namespace bulkhead::access
