#include "features/guard/idempotency.h"

#include <exception>

#include "platform/async/cores.h"
#include "platform/observe/log.h"

namespace bulkhead::guard {
namespace {

std::string case_label(BodyState state) {
  switch (state) {
    case BodyState::kStored:
      return "persisted";
    case BodyState::kEmpty:
      return "skipped_empty";
    case BodyState::kRedacted:
      return "redacted";
    case BodyState::kNonJson:
      return "skipped_non_json";
    case BodyState::kTooLarge:
      return "skipped_too_large";
  }
  return "unknown";
}

}  // namespace

struct IdempotencyService::Counters {
  explicit Counters(metrics::Registry& registry)
      : replay_served(of(registry, "replay_served")),
        conflict(of(registry, "conflict")),
        mismatch(of(registry, "mismatch")),
        outcome_unknown(of(registry, "outcome_unknown")),
        not_settled(of(registry, "not_settled")) {
    for (std::size_t i = 0; i < bodies.size(); ++i) bodies[i] = &of(registry, case_label(static_cast<BodyState>(i)));
  }
  static metrics::Counter& of(metrics::Registry& registry, std::string label) {
    return registry.counter("idempotency_total", "Idempotent requests by what became of them or of their answer",
                            {{"case", std::move(label)}});
  }
  metrics::Counter& replay_served;
  metrics::Counter& conflict;  // another request with the key is in flight
  metrics::Counter& mismatch;
  metrics::Counter& outcome_unknown;
  metrics::Counter& not_settled;  // the outcome could not be stored
  std::array<metrics::Counter*, 5> bodies{};
};

IdempotencyService::IdempotencyService(sql::Database& database, const Clock& clock, metrics::Registry& registry,
                                       Options options)
    : database_(database),
      clock_(clock),
      options_(std::move(options)),
      counters_(std::make_unique<Counters>(registry)) {
  BH_ASSERT(!options_.epoch.empty());
}

IdempotencyService::~IdempotencyService() = default;

Task<Result<IdempotencyBegun>> IdempotencyService::begin(IdempotencyRequest request) {
  // What the transaction found; it may run twice, so counting and judging wait until it is over.
  using Found = std::optional<IdempotencyRecord>;
  const UtcMicros now = clock_.now();
  IdempotencyTicket ticket{request.scope, {request.principal, request.endpoint, request.key}};
  const NewRecord fresh{
      request.fingerprint, {options_.node, options_.epoch}, now, now + options_.longest_request, now + options_.keep};
  BH_CO_TRY(const Found found,
            co_await database_.write(request.scope, [key = ticket.key, fresh, now](sql::TenantTx& tx) -> Result<Found> {
              Found record;
              // Again when another request gave the key back (abandon) between our two statements.
              for (int round = 0; !record && round < 3; ++round) {
                BH_TRY(const bool inserted, insert_record(tx, key, fresh));
                if (inserted) return Found();
                BH_TRY(record, lock_record(tx, key));
              }
              if (!record) return fail(ErrorCode::kIdempotencyInFlight);
              if (record->expires_at <= now) {
                BH_TRY_VOID(replace_record(tx, key, fresh));
                return Found();
              }
              const bool same_node = record->began_by.node == fresh.began_by.node;
              const bool lost = same_node && record->began_by.epoch != fresh.began_by.epoch;
              if (record->state == "in_flight" && (lost || record->in_flight_until <= now)) {
                BH_TRY_VOID(mark_record_unknown(tx, key));
                record->state = "unknown";
              }
              return record;
            }));
  if (!found) co_return IdempotencyBegun{std::move(ticket), std::nullopt};
  if (found->fingerprint != request.fingerprint) {
    counters_->mismatch.add();
    co_return fail(ErrorCode::kIdempotencyMismatch);
  }
  co_return judge(*found, std::move(ticket));
}

Result<IdempotencyBegun> IdempotencyService::judge(const IdempotencyRecord& record, IdempotencyTicket ticket) const {
  if (record.state == "completed") {
    counters_->replay_served.add();
    return IdempotencyBegun{std::move(ticket), replay(record.answer)};
  }
  if (record.state == "in_flight") {
    counters_->conflict.add();
    Error error = fail(ErrorCode::kIdempotencyInFlight).error();
    error.retry_after_ms = 1'000;
    return fail(std::move(error));
  }
  counters_->outcome_unknown.add();
  return fail(ErrorCode::kOutcomeUnknown);
}

Status IdempotencyService::settled(const IdempotencyTicket& ticket, const Result<bool>& changed) const {
  if (changed) return {};
  counters_->not_settled.add();
  log::warn("idempotency_not_settled", changed.error(), {{"endpoint", ticket.key.endpoint}});
  return fail(changed.error());
}

Task<Status> IdempotencyService::complete(IdempotencyTicket ticket, const net::Response& response) {
  StoredAnswer answer = sanitise(response);
  counters_->bodies.at(static_cast<std::size_t>(answer.body_state))->add();
  const auto changed =
      co_await database_.write(ticket.scope, [key = ticket.key, process = process(), answer = std::move(answer),
                                              until = clock_.now() + options_.keep](sql::TenantTx& tx) {
        return complete_record(tx, key, process, answer, until);
      });
  co_return settled(ticket, changed);
}

Task<Status> IdempotencyService::abandon(IdempotencyTicket ticket) {
  const auto changed = co_await database_.write(
      ticket.scope,
      [key = ticket.key, process = process()](sql::TenantTx& tx) { return abandon_record(tx, key, process); });
  co_return settled(ticket, changed);
}

Task<Status> IdempotencyService::mark_unknown(IdempotencyTicket ticket) {
  const auto changed = co_await database_.write(
      ticket.scope,
      [key = ticket.key, process = process()](sql::TenantTx& tx) { return give_up_record(tx, key, process); });
  co_return settled(ticket, changed);
}

Task<net::Response> IdempotencyService::run(access::RouteContext& context, TenantScope scope,
                                            std::function<Task<net::Response>()> act) {
  auto key = idempotency_key(context.request.headers);
  if (!key) co_return net::problem(key.error(), context.request_id);
  if (!*key) co_return co_await act();
  const std::string_view method = net::to_string(context.request.method);
  auto begun = co_await begin({scope, context.principal->credential_id,
                               std::string(method) + " " + std::string(context.request.path()), std::move(**key),
                               request_fingerprint(method, context.request.target, context.request.body)});
  if (!begun) co_return net::problem(begun.error(), context.request_id);
  if (begun->replay) co_return std::move(*begun->replay);
  std::exception_ptr escaped;
  std::optional<net::Response> response;
  try {
    response.emplace(co_await act());
  } catch (...) {
    escaped = std::current_exception();
  }
  // Failures to settle are logged there and leave the record in flight, which is the safe side; the answer stands.
  if (escaped) {
    static_cast<void>(co_await mark_unknown(std::move(begun->ticket)));
    std::rethrow_exception(escaped);
  }
  static_cast<void>(co_await settle(std::move(begun->ticket), *response));
  co_return std::move(*response);
}

Task<Status> IdempotencyService::settle(IdempotencyTicket ticket, const net::Response& response) {
  if (response.status < 400) co_return co_await complete(std::move(ticket), response);
  if (response.status < 500 || response.status == 503) co_return co_await abandon(std::move(ticket));
  co_return co_await mark_unknown(std::move(ticket));
}

Task<Result<std::int64_t>> IdempotencyService::recover() {
  const auto lost = co_await database_.system_write(
      [process = process()](sql::SystemTx& tx) { return mark_lost_records(tx, process); });
  if (lost && *lost > 0) log::warn("idempotency_outcomes_unknown", {{"count", *lost}});
  co_return lost;
}

Task<Result<std::int64_t>> IdempotencyService::delete_expired(std::int64_t limit) {
  co_return co_await database_.system_write(
      [now = clock_.now(), limit](sql::SystemTx& tx) { return delete_expired_records(tx, now, limit); });
}

Task<> IdempotencyService::keep_clean() {
  while (true) {
    co_await sleep_for(Millis(60'000));
    constexpr std::int64_t kBatch = 1'000;
    Result<std::int64_t> deleted = kBatch;
    while (deleted && *deleted == kBatch) deleted = co_await delete_expired(kBatch);
    if (!deleted && deleted.error().code == ErrorCode::kShuttingDown) co_return;
    if (!deleted) log::warn("idempotency_not_cleaned", deleted.error());
  }
}

}  // namespace bulkhead::guard
