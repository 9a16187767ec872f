#include "platform/bus/outbox_relay.h"

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>

#include "base/json.h"
#include "platform/observe/log.h"

namespace bulkhead::bus {
namespace {

constexpr std::size_t kBatch = 100;
constexpr std::int64_t kCleanUpBatch = 1'000;
constexpr Millis kShortestBackoff{100};
constexpr Millis kLongestBackoff{10'000};

using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

struct Pending {
  std::int64_t sequence = 0;
  UtcMicros created_at;
  Message message;
};

// The stored payload is JSON already; it is embedded as it is.
std::string envelope(const sql::Row& row) {
  json::object head;
  head["id"] = row.text(1);
  if (row.is_null(2)) {
    head["tenant_id"] = nullptr;
  } else {
    head["tenant_id"] = row.text(2);
  }
  head["created_at"] = to_rfc3339(row.time(5));
  std::string text = json::serialize(head);
  text.pop_back();
  return text + ",\"data\":" + row.text(4) + "}";
}

Result<std::vector<Pending>> read_pending(sql::SystemTx& tx) {
  BH_TRY(const sql::Rows rows, tx.query("SELECT sequence, id, tenant_id, topic, payload, created_at FROM outbox_event "
                                        "WHERE published_at IS NULL ORDER BY sequence LIMIT $1",
                                        {static_cast<std::int64_t>(kBatch)}));
  std::vector<Pending> pending;
  for (const sql::Row& row : rows) {
    pending.push_back({.sequence = row.integer(0),
                       .created_at = row.time(5),
                       .message = {.topic = row.text(3), .payload = envelope(row)}});
  }
  return pending;
}

// One statement text whatever the number of rows, so that it is prepared once: spare places repeat the last row.
Status mark_published(sql::SystemTx& tx, const std::vector<std::int64_t>& sequences, UtcMicros now) {
  std::string statement = "UPDATE outbox_event SET published_at = $1 WHERE sequence IN (";
  sql::Values values = {now};
  for (std::size_t i = 0; i < kBatch; ++i) {
    statement += (i == 0 ? "$" : ", $") + std::to_string(i + 2);
    values.emplace_back(sequences[std::min(i, sequences.size() - 1)]);
  }
  BH_TRY_VOID(tx.execute(statement + ")", values));
  return {};
}

Result<std::int64_t> delete_published(sql::SystemTx& tx, UtcMicros before) {
  return tx.execute(
      "DELETE FROM outbox_event WHERE sequence IN "
      "(SELECT sequence FROM outbox_event WHERE published_at < $1 ORDER BY published_at LIMIT $2)",
      {before, kCleanUpBatch});
}

}  // namespace

struct OutboxRelay::State {
  State(Parts given, OutboxRelayOptions chosen)
      : parts(given),
        options(chosen),
        published(parts.registry.counter("bulkhead_outbox_published_total", "Events given to the bus.")),
        failures(parts.registry.counter("bulkhead_outbox_failures_total", "Rounds of the relay that failed.")),
        lag(parts.registry.histogram("bulkhead_outbox_lag_seconds", "From the event's creation to its publication.",
                                     metrics::latency_bounds())),
        wake(parts.core.executor()),
        ended_signal(parts.core.executor(), SteadyTime::max()) {}

  Parts parts;
  OutboxRelayOptions options;
  metrics::Counter& published;
  metrics::Counter& failures;
  metrics::Histogram& lag;
  std::atomic<bool> notified = false;
  // The core's own:
  Timer wake;
  Timer ended_signal;  // cancelled at the end
  SteadyTime next_clean_up{};
  Millis backoff{0};
  bool running = false;
  bool stopping = false;

  Task<> run(std::shared_ptr<State> self);
  Task<Result<bool>> relay_batch();
  Task<Status> clean_up();
  Task<> pause_after(const Error& error);
  Task<> wait(Millis time);
  void stop();
};

OutboxRelay::OutboxRelay(Parts parts, OutboxRelayOptions options) : state_(std::make_shared<State>(parts, options)) {}

OutboxRelay::~OutboxRelay() {
  asio::post(state_->parts.core.executor(), [state = state_] { state->stop(); });
}

void OutboxRelay::start() {
  asio::post(state_->parts.core.executor(), [state = state_] {
    if (state->stopping || std::exchange(state->running, true)) return;
    asio::co_spawn(state->parts.core.executor(), state->run(state), [](std::exception_ptr escaped) {
      if (escaped) std::terminate();
    });
  });
}

void OutboxRelay::notify() {
  if (state_->notified.exchange(true)) return;
  asio::post(state_->parts.core.executor(), [state = state_] {
    if (state->backoff == Millis(0)) state->wake.cancel();  // news don't make a broken store work
  });
}

Task<> OutboxRelay::stop() {
  BH_ASSERT(state_->parts.core.is_current());
  state_->stop();
  boost::system::error_code ignored;
  while (state_->running) co_await state_->ended_signal.async_wait(asio::redirect_error(use_task, ignored));
}

void OutboxRelay::State::stop() {
  stopping = true;
  wake.cancel();
}

Task<> OutboxRelay::State::run([[maybe_unused]] std::shared_ptr<State> self) {
  while (!stopping) {
    notified = false;
    Result<bool> more = co_await relay_batch();
    if (more && !*more) {
      if (Status cleaned = co_await clean_up(); !cleaned) more = fail(std::move(cleaned.error()));
    }
    if (!more) {
      co_await pause_after(more.error());
      continue;
    }
    if (backoff != Millis(0)) log::info("outbox_recovered");
    backoff = Millis(0);
    if (!*more && !notified) co_await wait(options.poll_interval);
  }
  running = false;
  ended_signal.cancel();
}

// True when there may be more.
Task<Result<bool>> OutboxRelay::State::relay_batch() {
  BH_CO_TRY(std::vector<Pending> pending, co_await parts.database.system_read(&read_pending));
  if (pending.empty()) co_return false;
  std::vector<std::int64_t> sequences;
  for (Pending& event : pending) {
    sequences.push_back(event.sequence);
    parts.bus.publish(std::move(event.message));
  }
  const UtcMicros now = parts.clock.now();
  BH_CO_TRY_VOID(co_await parts.database.system_write(
      [sequences = std::move(sequences), now](sql::SystemTx& tx) { return mark_published(tx, sequences, now); }));
  published.add(pending.size());
  for (const Pending& event : pending) lag.observe(std::chrono::duration<double>(now - event.created_at).count());
  co_return pending.size() == kBatch;
}

Task<Status> OutboxRelay::State::clean_up() {
  const SteadyTime steady_now = parts.clock.steady_now();
  if (steady_now < next_clean_up) co_return Status();
  const UtcMicros before = parts.clock.now() - options.keep;
  BH_CO_TRY(const std::int64_t deleted,
            co_await parts.database.system_write([before](sql::SystemTx& tx) { return delete_published(tx, before); }));
  if (deleted < kCleanUpBatch) next_clean_up = steady_now + options.clean_up_interval;
  co_return Status();
}

Task<> OutboxRelay::State::pause_after(const Error& error) {
  failures.add();
  if (backoff == Millis(0)) log::warn("outbox_failing", error);
  backoff = std::clamp(backoff * 2, kShortestBackoff, kLongestBackoff);
  const auto half = static_cast<std::uint64_t>(backoff.count()) / 2;
  co_await wait(Millis(static_cast<std::int64_t>(half + parts.random.below(half + 1))));
}

Task<> OutboxRelay::State::wait(Millis time) {
  if (stopping) co_return;
  boost::system::error_code ignored;
  wake.expires_after(time);
  co_await wake.async_wait(asio::redirect_error(use_task, ignored));
}

}  // namespace bulkhead::bus
