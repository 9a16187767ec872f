#include "features/access/authenticator.h"

#include <algorithm>

#include "base/bytes.h"
#include "features/access/api_key.h"
#include "features/access/api_key_service.h"
#include "features/access/audit.h"
#include "platform/observe/log.h"

namespace bulkhead::access {
namespace {

constexpr std::size_t kTokenLimit = 4'096;
constexpr int kLookUps = 3;
constexpr std::size_t kRefusedEntries = 1'024;
constexpr std::size_t kUsedLimit = 4'096;
constexpr std::int64_t kMinute = 60'000'000;
constexpr std::string_view kBearer = "bearer";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view text, std::string_view lower_case) {
  return text.size() == lower_case.size() &&
         std::ranges::equal(text, lower_case, [](char a, char b) { return lower(a) == b; });
}

struct Presented {
  std::string_view token;
  std::string_view problem;  // why it is refused
};

// RFC 6750 §2.1: "Bearer" 1*SP token68; the scheme's case does not matter.
std::optional<std::string_view> bearer_token(std::string_view field) {
  if (field.size() <= kBearer.size() || !equal_ignoring_case(field.substr(0, kBearer.size()), kBearer)) return {};
  const auto start = field.find_first_not_of(' ', kBearer.size());
  if (start == std::string_view::npos || start == kBearer.size()) return {};
  return field.substr(start);
}

Presented presented_credential(const net::Headers& headers) {
  std::optional<std::string_view> authorization, api_key;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const auto [name, value] = headers.at(i);
    if (equal_ignoring_case(name, "authorization")) {
      if (authorization) return {{}, "repeated"};
      authorization = value;
    } else if (equal_ignoring_case(name, "x-api-key")) {
      if (api_key) return {{}, "repeated"};
      api_key = value;
    }
  }
  if (!authorization && !api_key) return {};
  std::string_view token;
  if (authorization) {
    const auto bearer = bearer_token(*authorization);
    if (!bearer) return {{}, "scheme"};
    token = *bearer;
  }
  if (api_key) {
    if (authorization && *api_key != token) return {{}, "ambiguous"};
    token = *api_key;
  }
  if (token.empty() || token.size() > kTokenLimit) return {{}, "malformed"};
  return {token, {}};
}

std::string_view as_view(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

PrincipalPtr principal_of(const KeyOwner& owner) {
  auto principal = std::make_shared<Principal>();
  principal->kind = PrincipalKind::kApiKey;
  principal->tenant = owner.tenant;
  principal->tenant_slug = owner.tenant_slug;
  principal->credential_id = "key:" + owner.record.id.to_string();
  principal->permissions = permissions_of(owner.record.role, owner.record.scopes);
  return principal;
}

}  // namespace

struct alignas(64) Authenticator::CoreState {
  CoreState(std::size_t entries, std::uint64_t generation)
      : cache(entries, kRefusedEntries), seen_generation(generation) {}
  PrincipalCache cache;
  std::uint64_t seen_generation;
  std::vector<std::pair<ApiKeyId, UtcMicros>> used;  // looked up since the last write: id, minute
};

struct Authenticator::Counters {
  explicit Counters(metrics::Registry& registry)
      : hits(registry.counter("auth_cache_hits_total", "Authentications answered from the cache")),
        look_ups(registry.counter("auth_lookups_total", "Authentications that asked the store")),
        admin_uses(
            registry.counter("platform_admin_uses_total", "Requests made with the platform admin token; alert on it")),
        admin_unaudited(registry.counter("platform_admin_audit_failures_total",
                                         "Uses of the platform admin token refused because they could not be audited")),
        registry_(registry) {
    for (const auto reason : kReasons) refusals_.emplace_back(reason, &failure(reason));
  }
  metrics::Counter& refusal(std::string_view reason) {
    const auto found = std::ranges::find(refusals_, reason, &std::pair<std::string_view, metrics::Counter*>::first);
    BH_ASSERT(found != refusals_.end());
    return *found->second;
  }
  metrics::Counter& hits;
  metrics::Counter& look_ups;
  metrics::Counter& admin_uses;
  metrics::Counter& admin_unaudited;

 private:
  static constexpr std::array<std::string_view, 9> kReasons = {
      "repeated", "scheme", "ambiguous", "malformed", "unknown", "expired", "revoked", "address", "cached"};
  metrics::Counter& failure(std::string_view reason) {
    return registry_.counter("auth_failures_total", "Refused credentials", {{"reason", std::string(reason)}});
  }
  metrics::Registry& registry_;
  std::vector<std::pair<std::string_view, metrics::Counter*>> refusals_;
};

Authenticator::Authenticator(std::size_t cores, sql::Database& database, KeyInvalidations& invalidations,
                             const Clock& clock, Random& random, metrics::Registry& registry, Options options)
    : database_(database),
      invalidations_(invalidations),
      clock_(clock),
      random_(random),
      options_(std::move(options)),
      counters_(std::make_unique<Counters>(registry)) {
  if (!options_.platform_admin_token.empty()) admin_digest_ = sha256(options_.platform_admin_token);
  wipe(options_.platform_admin_token);
  auto admin = std::make_shared<Principal>();
  admin->kind = PrincipalKind::kPlatformAdmin;
  admin->credential_id = "platform_admin";
  admin->permissions = {"*"};
  admin_ = std::move(admin);
  for (std::size_t i = 0; i < cores; ++i) {
    states_.push_back(std::make_unique<CoreState>(options_.cache_entries_per_core, invalidations_.generation()));
  }
}

Authenticator::~Authenticator() = default;

Authenticator::CoreState& Authenticator::state_of(std::size_t core) { return *states_.at(core); }

void Authenticator::forget_invalidated(CoreState& state) const {
  const std::uint64_t generation = invalidations_.generation();
  if (generation == state.seen_generation) [[likely]] {
    return;
  }
  if (const auto keys = invalidations_.since(state.seen_generation)) {
    for (const ApiKeyId& key : *keys) state.cache.forget(key);
  } else {
    state.cache.forget_all();
  }
  // Keys announced after `generation` was read are forgotten twice: harmless.
  state.seen_generation = generation;
}

Result<PrincipalPtr> Authenticator::refuse(std::string_view reason) {
  counters_->refusal(reason).add();
  if (reason == "ambiguous" || reason == "repeated") {
    return fail(ErrorCode::kInvalidCredential, "Send one credential only.", std::string(reason));
  }
  if (reason == "scheme") {
    return fail(ErrorCode::kInvalidCredential, "Send the credential as \"Authorization: Bearer <key>\".");
  }
  return fail(ErrorCode::kInvalidCredential, {}, std::string(reason));
}

Result<PrincipalPtr> Authenticator::admit(const KnownCredential& known, const RequestOrigin& origin) {
  if (known.expires_at && *known.expires_at <= clock_.now()) return refuse("expired");
  if (!known.ip_allowlist.empty() && (origin.local_socket || !any_contains(known.ip_allowlist, origin.client))) {
    return refuse("address");
  }
  return known.principal;
}

Authenticator::Attempt Authenticator::attempt(const net::RequestHead& head, const RequestOrigin& origin) {
  Attempt attempt;
  const Presented presented = presented_credential(head.headers);
  if (!presented.problem.empty()) {
    attempt.outcome = refuse(presented.problem);
    return attempt;
  }
  if (presented.token.empty()) {
    attempt.outcome = fail(ErrorCode::kUnauthenticated);
    return attempt;
  }
  attempt.token = presented.token;
  attempt.digest = api_key_hash(presented.token);
  if (admin_digest_ && equal_in_constant_time(as_view(attempt.digest), as_view(*admin_digest_))) {
    attempt.kind = Kind::kPlatformAdmin;
    return attempt;
  }
  CoreState& state = state_of(origin.core);
  forget_invalidated(state);
  const SteadyTime now = clock_.steady_now();
  if (const KnownCredential* known = state.cache.find(attempt.digest, now)) {
    counters_->hits.add();
    attempt.outcome = admit(*known, origin);
  } else if (state.cache.is_refused(attempt.digest, now)) {
    attempt.outcome = refuse("cached");
  } else {
    judge_form(attempt);
  }
  return attempt;
}

// What is not cached: a text that can't be a credential ends here, before anything is looked up.
void Authenticator::judge_form(Attempt& attempt) {
  if (attempt.token.starts_with(kApiKeyPrefix)) {
    attempt.kind = Kind::kApiKey;
    if (!is_api_key(attempt.token)) attempt.outcome = refuse("malformed");
  } else if (options_.service_tokens) {
    attempt.kind = Kind::kOther;
  } else {
    attempt.outcome = refuse("unknown");
  }
}

Task<Result<PrincipalPtr>> Authenticator::look_up(Attempt attempt, RequestOrigin origin) {
  switch (attempt.kind) {
    case Kind::kApiKey:
      co_return co_await look_up_key(attempt.digest, origin);
    case Kind::kPlatformAdmin:
      co_return co_await admit_platform_admin(origin);
    case Kind::kOther:
      co_return admit_service(attempt, origin);
    case Kind::kNone:
      break;
  }
  co_return fail(ErrorCode::kUnauthenticated);
}

Task<Result<PrincipalPtr>> Authenticator::look_up_key(Sha256Digest digest, RequestOrigin origin) {
  CoreState& state = state_of(origin.core);
  for (int round = 1;; ++round) {
    counters_->look_ups.add();
    const std::uint64_t began_at = invalidations_.generation();
    const auto found = co_await database_.system_read([digest](sql::SystemTx& tx) { return find_api_key(tx, digest); });
    if (!found) co_return fail(found.error());
    const UtcMicros now = clock_.now();
    const SteadyTime steady_now = clock_.steady_now();
    if (!*found) {
      state.cache.keep_refused(digest, steady_now + options_.cache_refusals_for);
      co_return refuse("unknown");
    }
    // What was read may be older than a revocation that has been answered since: read again.
    if (invalidations_.touched((*found)->record.id, began_at)) {
      if (round < kLookUps) continue;
      co_return fail(ErrorCode::kUnavailable, "The key is being changed. Send the request again.");
    }
    if (status_of((*found)->record, now) != "active") {
      state.cache.keep_refused(digest, steady_now + options_.cache_refusals_for);
      co_return refuse(status_of((*found)->record, now));
    }
    const KeyOwner& owner = **found;
    auto ranges = parse_address_ranges(owner.record.ip_allowlist);
    if (!ranges) co_return fail(ErrorCode::kInternal, {}, "a stored IP allowlist can't be parsed");
    const auto known = std::make_shared<const KnownCredential>(
        KnownCredential{principal_of(owner), owner.record.id, owner.record.expires_at, std::move(*ranges)});
    state.cache.keep(digest, known, steady_now + options_.cache_for);
    if (state.used.size() < kUsedLimit) {
      state.used.emplace_back(owner.record.id, UtcMicros{now.value / kMinute * kMinute});
    }
    co_return admit(*known, origin);
  }
}

Task<Result<PrincipalPtr>> Authenticator::admit_platform_admin(RequestOrigin origin) {
  counters_->admin_uses.add();
  const Actor actor{"platform_admin", origin.local_socket ? "local" : origin.client.to_string(),
                    std::string(origin.request_id)};
  const std::string resource = std::string(origin.method) + " " + std::string(origin.route);
  const auto audited = co_await database_.system_write(
      [this, entry = audit_entry(actor, "platform_admin.use", resource), now = clock_.now()](sql::SystemTx& tx) {
        return append_platform_audit(tx, entry, now, random_);
      });
  log::warn("platform_admin_use", {{"request_id", actor.request_id}, {"ip", actor.ip}, {"route", origin.route}});
  if (!audited) {
    counters_->admin_unaudited.add();
    log::error("platform_admin_audit_failed", audited.error(), {{"request_id", actor.request_id}});
    co_return fail(audited.error());
  }
  co_return admin_;
}

Result<PrincipalPtr> Authenticator::admit_service(const Attempt& attempt, const RequestOrigin& origin) {
  CoreState& state = state_of(origin.core);
  const SteadyTime steady_now = clock_.steady_now();
  const auto identity = options_.service_tokens(attempt.token);
  const UtcMicros now = clock_.now();
  if (!identity || identity->expires_at <= now) {
    state.cache.keep_refused(attempt.digest, steady_now + options_.cache_refusals_for);
    return refuse(!identity ? "unknown" : "expired");
  }
  const auto known =
      std::make_shared<const KnownCredential>(KnownCredential{identity->principal, {}, identity->expires_at, {}});
  state.cache.keep(attempt.digest, known, steady_now + options_.cache_for);
  return admit(*known, origin);
}

Task<Status> Authenticator::write_last_used(std::size_t core) {
  std::vector<std::pair<ApiKeyId, UtcMicros>> used;
  std::swap(used, state_of(core).used);
  if (used.empty()) co_return Status{};
  std::ranges::sort(used);
  const auto repeated = std::ranges::unique(used);
  used.erase(repeated.begin(), repeated.end());
  co_return co_await database_.system_write([used = std::move(used)](sql::SystemTx& tx) -> Status {
    for (const auto& [key, minute] : used) BH_TRY_VOID(set_api_key_used(tx, key, minute));
    return {};
  });
}

Task<> Authenticator::keep_last_used(std::size_t core) {
  while (true) {
    co_await sleep_for(Millis(20'000));
    const auto written = co_await write_last_used(core);
    if (!written && written.error().code == ErrorCode::kShuttingDown) co_return;
    // Approximate by contract (minute granularity); the next use notes it again.
    if (!written) log::warn("last_used_not_written", written.error());
  }
}

}  // namespace bulkhead::access
