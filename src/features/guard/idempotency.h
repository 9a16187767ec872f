// Idempotency keys (contracts/extensions.md §4; the IETF draft's semantics and Stripe's): a request that carries a key
// takes effect at most once, and its repetitions get the first one's answer.
//
//   auto begun = co_await idempotency.begin({scope, principal, endpoint, *key, fingerprint});
//   if (!begun) …                       // 422 idempotency_mismatch, 409 idempotency_in_flight, 409 outcome_unknown
//   if (begun->replay) co_return std::move(*begun->replay);
//   … act …
//   co_await idempotency.complete(begun->ticket, response);
//
// A record is in_flight from `begin` (committed before it returns) until complete / abandon / mark_unknown. One whose
// process died (this node, another boot id) or that is in flight longer than any request may run has an unknown
// outcome: nobody knows whether it took effect, so it answers 409 until the client decides (with a new key) or it
// expires, 24 h after it began; a completed one 24 h after it completed. `node` names this machine's process among
// those that share the database and survives its restarts; two live processes must not share one. Used on any core;
// transactions run on database threads.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/tenant_scope.h"
#include "features/access/route.h"
#include "features/guard/idempotency_key.h"
#include "features/guard/idempotency_store.h"
#include "platform/async/task.h"
#include "platform/observe/metrics.h"

namespace bulkhead::guard {

struct IdempotencyRequest {
  TenantScope scope;
  std::string principal;  // Principal::credential_id
  std::string endpoint;   // what the key is scoped to: "POST /api/installs", "ext:<install>:POST /orders"
  std::string key;
  std::string fingerprint;  // request_fingerprint()
};

// The right to act, and the duty to say how it went.
struct IdempotencyTicket {
  TenantScope scope;
  RecordKey key;
};

struct IdempotencyBegun {
  IdempotencyTicket ticket;
  std::optional<net::Response> replay;  // set: don't act, answer this
};

class IdempotencyService {
 public:
  struct Options {
    std::string node = "local";
    std::string epoch{};  // this process's boot id: another one at every start
    std::chrono::seconds keep = std::chrono::hours(24);
    std::chrono::seconds longest_request{900};  // in flight for longer: the outcome is unknown
  };
  // All outlive the service.
  IdempotencyService(sql::Database& database, const Clock& clock, metrics::Registry& registry, Options options);
  ~IdempotencyService();

  Task<Result<IdempotencyBegun>> begin(IdempotencyRequest request);
  // Keeps the (sanitised) answer for replays. A failure is logged, counted and leaves the record in flight: repetitions
  // then get 409, never a second act.
  Task<Status> complete(IdempotencyTicket ticket, const net::Response& response);
  // It provably had no effect: the key is free again.
  Task<Status> abandon(IdempotencyTicket ticket);
  Task<Status> mark_unknown(IdempotencyTicket ticket);

  // The middleware for control-plane routes: runs `act` under the request's key, if it has one. What `act` answers
  // decides: 2xx and 3xx are kept for replays; 4xx and 503 mean that nothing was done (our services roll back what they
  // refuse), so the key is free again; any other 5xx, or an exception, leaves the outcome unknown.
  // Call it after authorization. Keys are scoped to the method and path.
  Task<net::Response> run(access::RouteContext& context, TenantScope scope, std::function<Task<net::Response>()> act);

  // At start: what this node had in flight when it ended has an unknown outcome. The number of them.
  Task<Result<std::int64_t>> recover();
  // One batch; call again while it returns `limit`.
  Task<Result<std::int64_t>> delete_expired(std::int64_t limit = 1'000);
  // Every minute, until the database is closed.
  Task<> keep_clean();

 private:
  struct Counters;
  Result<IdempotencyBegun> judge(const IdempotencyRecord& record, IdempotencyTicket ticket) const;
  Task<Status> settle(IdempotencyTicket ticket, const net::Response& response);
  Status settled(const IdempotencyTicket& ticket, const Result<bool>& changed) const;
  ProcessName process() const { return {options_.node, options_.epoch}; }

  sql::Database& database_;
  const Clock& clock_;
  Options options_;
  std::unique_ptr<Counters> counters_;
};

}  // namespace bulkhead::guard
