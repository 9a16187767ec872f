#include "features/events/event_worker.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>

#include "features/access/request_identity.h"
#include "platform/observe/log.h"

namespace bulkhead::events {
namespace {

constexpr std::int64_t kMatchBatch = 50;
constexpr std::size_t kMaxFilters = 4'096;
constexpr Millis kCleanInterval{60'000};
constexpr std::int64_t kCleanBatch = 1'000;
constexpr Millis kErrorPause{1'000};
constexpr Millis kInstallAwayPause{30'000};
constexpr Millis kRefusedPause{5'000};
constexpr std::size_t kMaxMessage = 500;

Failure failure_of(const Error& error) {
  std::string message = error.message.empty() ? std::string(error_info(error.code).title) : error.message;
  return {.code = std::string(error.wire_code()), .message = message.substr(0, kMaxMessage)};
}

// A span of our own in the trace of whoever emitted, or a new trace.
std::string trace_of(const std::string& trace_parent, Random& random) {
  net::Headers headers;
  if (!trace_parent.empty()) headers.add("traceparent", trace_parent);
  return access::child_trace_parent(headers, random);
}

}  // namespace

EventWorker::EventWorker(Dependencies dependencies, EventWorkerOptions options, metrics::Registry& registry)
    : dependencies_(dependencies),
      options_(std::move(options)),
      token_(Uuid::v4(dependencies.random).to_string()),
      matched_(registry.counter("events_matched_total", "Deliveries made from emitted events.")),
      handled_(registry.counter("event_deliveries_total", "Attempts to deliver an event.", {{"outcome", "handled"}})),
      retried_(registry.counter("event_deliveries_total", "Attempts to deliver an event.", {{"outcome", "retry"}})),
      buried_(registry.counter("event_deliveries_total", "Attempts to deliver an event.", {{"outcome", "dead"}})),
      delay_(registry.histogram("event_delay_seconds", "From an event's emission until it was handled.",
                                metrics::latency_bounds())),
      timer_(dependencies.cores.at(0).executor()) {}

void EventWorker::listen(bus::Bus& bus) {
  for (const char* topic : {"extension.event.emitted", "install.changed"}) {
    subscriptions_.push_back(
        bus.subscribe(dependencies_.cores.at(0), topic,
                      {.message = [this](const bus::Message&) { wake(); }, .lost = [this] { wake(); }}));
  }
}

void EventWorker::wake() {
  if (notified_.exchange(true)) return;
  asio::post(dependencies_.cores.at(0).executor(), [this] { timer_.cancel(); });
}

Task<> EventWorker::wait(Millis longest) {
  if (notified_ || stopping_) co_return;
  timer_.expires_after(longest);
  boost::system::error_code ignored;
  co_await timer_.async_wait(asio::redirect_error(use_task, ignored));
}

Task<> EventWorker::run() {
  const auto released =
      co_await dependencies_.database.system_write([node = options_.node, now = dependencies_.clock.now()](
                                                       sql::SystemTx& tx) { return release_leases(tx, node, now); });
  if (!released) log::warn("event_leases_not_released", released.error());
  while (!stopping_) {
    notified_ = false;
    bool more = false;
    std::optional<UtcMicros> next_due;
    if (const Status done = co_await round(more, next_due); !done) {
      log::warn("event_round_failed", done.error());
      co_await wait(kErrorPause);
      continue;
    }
    if (more) continue;
    Millis pause = options_.poll;
    if (next_due && running_ < options_.in_flight) {
      const auto until = std::chrono::ceil<Millis>(*next_due - dependencies_.clock.now());
      pause = std::clamp(until, Millis(1), pause);
    }
    co_await wait(pause);
    co_await keep_clean();
  }
}

Task<Status> EventWorker::round(bool& more, std::optional<UtcMicros>& next_due) {
  BH_CO_TRY(more, co_await match_some());
  if (running_ >= options_.in_flight || stopping_) {
    more = false;  // whatever ends will wake us
    co_return Status();
  }
  BH_CO_TRY(Claims claims, co_await claim_some());
  next_due = claims.next_due;
  more = more || !claims.claimed.empty();
  for (ClaimedDelivery& delivery : claims.claimed) start(std::move(delivery));
  co_return Status();
}

// --- matching ---

bool EventWorker::wants(const Subscription& subscription, const json::value& payload) {
  const std::string& text = subscription.effective_filter();
  auto known = filters_.find(text);
  if (known == filters_.end()) {
    auto compiled = EventFilter::parse(text);
    if (!compiled) {
      log::error("event_filter_not_valid", compiled.error(), {{"subscription_id", subscription.id.to_string()}});
      return false;
    }
    if (filters_.size() >= kMaxFilters) filters_.clear();
    known = filters_.emplace(text, std::make_shared<const EventFilter>(std::move(*compiled))).first;
  }
  return known->second->matches(payload);
}

std::vector<EventWorker::Plan> EventWorker::plan(Unmatched unmatched) {
  std::vector<Plan> plans;
  plans.reserve(unmatched.events.size());
  for (EmittedEvent& event : unmatched.events) {
    const auto payload = parse_json(event.payload_json);
    Plan plan{.event = std::move(event), .deliveries = {}};
    for (const auto& [tenant, subscription] : unmatched.subscriptions) {
      if (tenant != plan.event.tenant_id || subscription.topic != plan.event.topic) continue;
      if (!payload || !wants(subscription, *payload)) continue;
      plan.deliveries.push_back({.id = DeliveryId::v7(dependencies_.clock.now(), dependencies_.random),
                                 .tenant_id = tenant,
                                 .install_id = subscription.install_id,
                                 .subscription_id = subscription.id});
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

Task<Result<bool>> EventWorker::match_some() {
  BH_CO_TRY(auto unmatched, co_await dependencies_.database.system_read(
                                [](sql::SystemTx& tx) { return read_unmatched(tx, kMatchBatch); }));
  if (unmatched.events.empty()) co_return false;
  const bool more = unmatched.events.size() == static_cast<std::size_t>(kMatchBatch);
  BH_CO_TRY(auto plans, co_await dependencies_.pool.run(
                            [this, unmatched = std::move(unmatched)]() mutable -> Result<std::vector<Plan>> {
                              return plan(std::move(unmatched));
                            }));
  for (const Plan& plan : plans) matched_.add(plan.deliveries.size());
  const UtcMicros now = dependencies_.clock.now();
  BH_CO_TRY_VOID(
      co_await dependencies_.database.system_write([plans = std::move(plans), now](sql::SystemTx& tx) -> Status {
        for (const Plan& plan : plans) BH_TRY_VOID(insert_deliveries(tx, plan.event, plan.deliveries, now));
        return {};
      }));
  co_return more;
}

// --- delivering ---

Task<Result<EventWorker::Claims>> EventWorker::claim_some() {
  std::vector<InstallId> full;
  std::unordered_map<InstallId, std::size_t> busy = busy_;
  for (const auto& [install, count] : busy) {
    if (count >= options_.per_install) full.push_back(install);
  }
  const UtcMicros now = dependencies_.clock.now();
  co_return co_await dependencies_.database.system_write(
      [this, now, full = std::move(full), busy = std::move(busy),
       room = options_.in_flight - running_](sql::SystemTx& tx) -> Result<Claims> {
        Claims claims;
        BH_TRY(const auto due, list_due(tx, now, full, static_cast<std::int64_t>(2 * room)));
        auto taken = busy;
        for (const DueDelivery& delivery : due) {
          if (claims.claimed.size() == room) break;
          if (taken[delivery.install_id] >= options_.per_install) continue;
          BH_TRY(auto claimed, claim_delivery(tx, delivery.id, now, now + options_.lease, token_, options_.node));
          if (!claimed) continue;
          ++taken[delivery.install_id];
          claims.claimed.push_back(std::move(*claimed));
        }
        if (due.empty()) {
          BH_TRY(claims.next_due, next_due(tx));
        }
        return claims;
      });
}

void EventWorker::start(ClaimedDelivery delivery) {
  ++running_;
  ++busy_[delivery.install_id];
  const std::size_t core = next_core_++ % dependencies_.cores.size();
  dependencies_.cores.spawn(
      core, [this, core, delivery = std::move(delivery)]() mutable { return deliver(core, std::move(delivery)); });
}

void EventWorker::ended(const InstallId& install) {
  --running_;
  if (const auto found = busy_.find(install); --found->second == 0) busy_.erase(found);
  wake();
}

Task<> EventWorker::deliver(std::size_t core, ClaimedDelivery delivery) {
  const Verdict verdict = co_await attempt(core, delivery);
  // When this can't be written, the lease runs out and the delivery is made again.
  if (const Status settled = co_await settle(delivery, verdict); !settled) {
    log::warn("event_delivery_not_settled", settled.error(), {{"delivery_id", delivery.id.to_string()}});
  }
  asio::post(dependencies_.cores.at(0).executor(), [this, install = delivery.install_id] { ended(install); });
}

Task<EventWorker::Verdict> EventWorker::attempt(std::size_t core, const ClaimedDelivery& delivery) {
  auto install = co_await dependencies_.installs.find_install(delivery.install_id);
  if (!install) co_return Verdict{Verdict::Kind::kNotStarted, failure_of(install.error()), kErrorPause};
  if (!*install || (*install)->tenant_id != delivery.tenant_id) {
    co_return Verdict{
        Verdict::Kind::kNotStarted, {"extension_not_available", "The install is disabled or gone."}, kInstallAwayPause};
  }
  invocations::Invocation invocation;
  invocation.install = *install;
  invocation.version = invocation.install->current.get();
  invocation.kind = executions::ExecutionKind::kEvent;
  invocation.retry = invocations::Retry::kIfNotStarted;
  invocation.hops = delivery.event.hops;
  invocation.request_id = delivery.id.to_string();  // the same at every attempt
  invocation.trace_parent = trace_of(delivery.event.trace_parent, dependencies_.random);
  invocation.method = "EVENT";
  invocation.path = delivery.event.topic;
  invocation.call = protocol::EventCall{.topic = delivery.event.topic,
                                        .id = delivery.event.event_id,
                                        .payload_json = delivery.event.payload_json,
                                        .handler = delivery.handler,
                                        .attempt = static_cast<std::uint32_t>(delivery.attempt),
                                        .source = delivery.event.source};
  const auto outcome = co_await dependencies_.invoker.run(core, std::move(invocation));
  if (!outcome) {
    const Millis asked(outcome.error().retry_after_ms);
    co_return Verdict{Verdict::Kind::kNotStarted, failure_of(outcome.error()), std::max(asked, kRefusedPause)};
  }
  co_return judge(*outcome);
}

EventWorker::Verdict EventWorker::judge(const invocations::Outcome& outcome) {
  if (const Error* failure = outcome.failure()) {
    const bool started = outcome.fate != invocations::Fate::kNeverStarted;
    return {started ? Verdict::Kind::kFailed : Verdict::Kind::kNotStarted, failure_of(*failure),
            std::max(Millis(failure->retry_after_ms), kErrorPause)};
  }
  const int status = outcome.answer->status;
  if (status < 400) return {};
  return {Verdict::Kind::kFailed,
          {"handler_status", "The handler answered with status " + std::to_string(status) + "."},
          Millis(0)};
}

Millis EventWorker::backoff(std::int64_t attempt) {
  const auto index = std::min(static_cast<std::size_t>(attempt - 1), options_.retry_delays.size() - 1);
  const auto longest = static_cast<std::uint64_t>(options_.retry_delays[index].count());
  return Millis(static_cast<std::int64_t>(1 + dependencies_.random.below(std::max<std::uint64_t>(1, longest))));
}

Task<Status> EventWorker::settle(const ClaimedDelivery& delivery, const Verdict& verdict) {
  const UtcMicros now = dependencies_.clock.now();
  const DeliveryId id = delivery.id;
  if (verdict.kind == Verdict::Kind::kHandled) {
    handled_.add();
    delay_.observe(static_cast<double>((now - delivery.event.created_at).count()) / 1e6);
    co_return co_await dependencies_.database.system_write(
        [id, token = token_](sql::SystemTx& tx) { return finish_delivery(tx, id, token); });
  }
  const bool failed = verdict.kind == Verdict::Kind::kFailed;
  const bool is_last = failed ? delivery.attempt > static_cast<std::int64_t>(options_.retry_delays.size())
                              : now - delivery.created_at > options_.max_age;
  if (is_last) {
    buried_.add();
    log::warn("event_dead", {{"delivery_id", id.to_string()},
                             {"install_id", delivery.install_id.to_string()},
                             {"topic", delivery.event.topic},
                             {"code", verdict.failure.code}});
    co_return co_await dependencies_.database.system_write(
        [id, token = token_, failure = verdict.failure, now](sql::SystemTx& tx) {
          return bury_delivery(tx, id, token, failure, now);
        });
  }
  retried_.add();
  const Millis jitter(static_cast<std::int64_t>(dependencies_.random.below(1'000)));
  const UtcMicros due = now + (failed ? backoff(delivery.attempt) : verdict.wait + jitter);
  const Attempt counted = failed ? Attempt::kCounts : Attempt::kNotStarted;
  co_return co_await dependencies_.database.system_write(
      [id, token = token_, failure = verdict.failure, now, due, counted](sql::SystemTx& tx) {
        return retry_delivery(tx, id, token, failure, now, due, counted);
      });
}

// --- the rest ---

Task<> EventWorker::keep_clean() {
  const UtcMicros now = dependencies_.clock.now();
  if (now < next_clean_) co_return;
  next_clean_ = now + kCleanInterval;
  const auto removed = co_await dependencies_.database.system_write(
      [dead = now - options_.keep_dead, handled = now - options_.keep_handled](sql::SystemTx& tx) {
        return forget_old(tx, dead, handled, kCleanBatch);
      });
  if (!removed) log::warn("events_not_cleaned", removed.error());
  if (removed && *removed >= kCleanBatch) next_clean_ = now;
}

Task<> EventWorker::stop(Millis grace) {
  stopping_ = true;
  wake();
  const SteadyTime until = dependencies_.clock.steady_now() + grace;
  while (running_ > 0 && dependencies_.clock.steady_now() < until) co_await sleep_for(Millis(5));
}

}  // namespace bulkhead::events
