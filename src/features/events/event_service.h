// Events between the extensions of one organization: emitting, subscriptions, dead letters. All the rules; no HTTP, no
// host-call JSON. Delivery is EventWorker's.
//
// An event and the outbox's word of it are one transaction. What an event is matched against are the subscriptions of
// its own organization, nothing else. Thread-safe; runs on any core.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "features/access/audit.h"
#include "features/events/event_store.h"
#include "features/extensions/installed.h"
#include "platform/observe/metrics.h"

namespace bulkhead::events {

inline constexpr std::size_t kMaxPayload = std::size_t{256} * 1024;
inline constexpr std::uint32_t kMaxHops = 16;

struct Emission {
  std::string topic;
  std::string id;  // the emitter's; empty: one is made
  std::string payload_json;
  std::uint32_t hops = 0;    // of the execution that emits
  std::string trace_parent;  // of that execution
};

struct SubscriptionChange {
  SubscriptionId id;
  std::optional<bool> is_enabled;
  bool resets_filter = false;  // back to the manifest's
  std::optional<json::value> filter;
};

class EventService {
 public:
  struct Dependencies {
    sql::Database& database;
    const Clock& clock;
    Random& random;                      // thread-safe
    std::function<void()> after_commit;  // wakes the relay and the worker
  };
  struct Options {
    std::int64_t max_backlog = 10'000;  // events of one emitter that are not handled yet
  };
  EventService(Dependencies dependencies, Options options, metrics::Registry& registry);

  // The event's id. kUnprocessable (topic, id), kCapabilityDenied (a topic of the platform), kPayloadTooLarge,
  // kQuotaExceeded (backlog, or a chain of more than kMaxHops events).
  Task<Result<std::string>> emit(TenantScope scope, const extensions::InstalledExtension& install, Emission emission);

  Task<Result<std::vector<Subscription>>> subscriptions(TenantScope scope, InstallId install);
  // All of them or none; kNotFound, kUnprocessable.
  Task<Result<std::vector<Subscription>>> change(access::Actor actor, TenantScope scope, InstallId install,
                                                 std::vector<SubscriptionChange> changes);

  Task<Result<std::vector<DeadLetter>>> dead_letters(TenantScope scope, InstallId install, std::string after,
                                                     std::size_t limit);
  // One (kNotFound when it is none) or all. How many.
  Task<Result<std::int64_t>> redrive(access::Actor actor, TenantScope scope, InstallId install,
                                     std::optional<DeliveryId> id);

 private:
  Result<EmittedEvent> checked(const extensions::InstalledExtension& install, Emission emission);
  Task<Status> check_backlog(TenantScope scope, InstallId install);

  // What the store said of an emitter's backlog a moment ago, and what was emitted here since.
  struct Backlog {
    std::int64_t count = 0;
    SteadyTime read_at;
  };
  Dependencies dependencies_;
  Options options_;
  metrics::Counter& emitted_;
  metrics::Counter& refused_;
  std::mutex mutex_;
  std::unordered_map<InstallId, Backlog> backlogs_;
};

}  // namespace bulkhead::events
