// OutboxRelay: publishes the outbox's pending rows on the bus, in order, and marks them afterwards; so a crash between
// the two publishes again (at least once). Several nodes may relay at the same time; then an event may also come twice.
//
// Runs as one coroutine on one core. Looks at once after `notify`, else every `poll_interval`; after an error it waits
// with jittered back-off. Published rows are deleted after `keep`.
#pragma once

#include <memory>

#include "base/random.h"
#include "base/time.h"
#include "platform/async/cores.h"
#include "platform/bus/bus.h"
#include "platform/observe/metrics.h"
#include "platform/sql/database.h"

namespace bulkhead::bus {

struct OutboxRelayOptions {
  Millis poll_interval{1'000};
  Millis keep{3'600'000};
  Millis clean_up_interval{60'000};
};

class OutboxRelay {
 public:
  // All of these outlive the relay's last step: see stop().
  struct Parts {
    Core& core;
    sql::Database& database;
    Bus& bus;
    const Clock& clock;
    Random& random;  // of the core
    metrics::Registry& registry;
  };
  explicit OutboxRelay(Parts parts, OutboxRelayOptions options = {});
  ~OutboxRelay();  // tells it to stop, without waiting
  OutboxRelay(const OutboxRelay&) = delete;
  OutboxRelay& operator=(const OutboxRelay&) = delete;

  // Once, from any thread.
  void start();
  // After a commit that appended events. Thread-safe, cheap, never blocks.
  void notify();
  // Await it on the relay's core: afterwards nothing of it runs. Not needed once the cores have stopped.
  Task<> stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace bulkhead::bus
