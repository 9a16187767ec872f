// EventWorker: matches what was emitted with subscriptions and delivers it: at least once, retried, then a dead letter.
//
// The store is the truth. A round reads events that nobody has matched, decides off the I/O threads which subscriptions
// want them, and writes one delivery for each; then it claims due deliveries and runs them on all cores. A claim is a
// lease: while one node works on a delivery no other takes it, and a node that dies only delays it (its own leases end
// at its next start, others take them over when they run out). What fails is tried again after a random part of the
// next of `retry_delays` (full jitter); after the last one it is a dead letter. What never started (no runner, a
// quarantine, a full queue) is no attempt: it waits, at most `max_age`.
//
// One install has at most `per_install` deliveries running on a node. Woken by the bus and by whoever emits here;
// looks by itself every `poll`. Owned by the composition root; its state belongs to core 0.
#pragma once

#include <atomic>
#include <boost/asio/basic_waitable_timer.hpp>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "features/events/event_filter.h"
#include "features/events/event_store.h"
#include "features/extensions/installed.h"
#include "features/invocations/invoker.h"
#include "platform/async/cores.h"
#include "platform/async/thread_pool.h"
#include "platform/bus/bus.h"
#include "platform/observe/metrics.h"

namespace bulkhead::events {

struct EventWorkerOptions {
  std::string node;  // the same after a restart; no two at once
  std::size_t in_flight = 64;
  std::size_t per_install = 8;
  std::vector<Millis> retry_delays{Millis(5'000), Millis(30'000), Millis(120'000), Millis(600'000), Millis(3'600'000)};
  Micros max_age = std::chrono::hours(24);
  Micros keep_dead = std::chrono::hours(24 * 30);
  Micros keep_handled = std::chrono::hours(24 * 7);  // as long as an event's id is remembered
  Millis poll{1'000};
  Millis lease{60'000};  // longer than any execution
};

class EventWorker {
 public:
  struct Dependencies {
    Cores& cores;
    sql::Database& database;
    extensions::InstallDirectory& installs;
    invocations::Invoker& invoker;
    ThreadPool& pool;
    const Clock& clock;
    Random& random;  // thread-safe
  };
  EventWorker(Dependencies dependencies, EventWorkerOptions options, metrics::Registry& registry);

  // Hears of events from now on. Before the cores start.
  void listen(bus::Bus& bus);
  // There may be something to do. Any thread, cheap.
  void wake();
  // On core 0, until `stop`.
  Task<> run();
  // Takes nothing more; returns once what runs has ended, or after `grace`. On core 0.
  Task<> stop(Millis grace);

 private:
  using Timer =
      asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;
  struct Plan {
    EmittedEvent event;
    std::vector<NewDelivery> deliveries;
  };
  struct Claims {
    std::vector<ClaimedDelivery> claimed;
    std::optional<UtcMicros> next_due;
  };
  // What became of one attempt.
  struct Verdict {
    enum class Kind : std::uint8_t { kHandled, kFailed, kNotStarted } kind = Kind::kHandled;
    Failure failure;
    Millis wait{0};  // kNotStarted: at least so long
  };

  // True: there may be more.
  Task<Result<bool>> match_some();
  std::vector<Plan> plan(Unmatched unmatched);
  bool wants(const Subscription& subscription, const json::value& payload);
  Task<Result<Claims>> claim_some();
  Task<Status> round(bool& more, std::optional<UtcMicros>& next_due);
  void start(ClaimedDelivery delivery);
  void ended(const InstallId& install);
  Task<> deliver(std::size_t core, ClaimedDelivery delivery);
  Task<Verdict> attempt(std::size_t core, const ClaimedDelivery& delivery);
  static Verdict judge(const invocations::Outcome& outcome);
  Task<Status> settle(const ClaimedDelivery& delivery, const Verdict& verdict);
  Millis backoff(std::int64_t attempt);
  Task<> keep_clean();
  Task<> wait(Millis longest);

  Dependencies dependencies_;
  EventWorkerOptions options_;
  std::string token_;  // of this run's leases
  metrics::Counter& matched_;
  metrics::Counter& handled_;
  metrics::Counter& retried_;
  metrics::Counter& buried_;
  metrics::Histogram& delay_;
  std::unordered_map<std::string, std::shared_ptr<const EventFilter>> filters_;  // by text; one match at a time
  std::vector<std::unique_ptr<bus::Subscription>> subscriptions_;
  std::atomic<bool> notified_ = false;
  // Core 0's own:
  Timer timer_;
  std::size_t running_ = 0;
  std::unordered_map<InstallId, std::size_t> busy_;
  std::size_t next_core_ = 0;
  UtcMicros next_clean_;
  bool stopping_ = false;
};

}  // namespace bulkhead::events
