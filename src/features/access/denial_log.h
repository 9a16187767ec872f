// Denied privileged acts on their way to the audit log (contracts/access.md, Audit: "and per denial of one").
//
// Deciding must not wait for a database, so denials are queued here (bounded; what does not fit is counted and only in
// the log) and written in batches by `write`. Thread-safe.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "features/access/audit.h"
#include "platform/async/task.h"
#include "platform/observe/metrics.h"

namespace bulkhead::access {

struct Denial {
  Actor actor;
  std::optional<TenantId> tenant;  // whose chain: the actor's own organization, else the platform's
  std::string permission;
  std::string route;
  std::string reason;
};

class DenialLog {
 public:
  static constexpr std::size_t kLimit = 1'024;
  // All outlive the log; `random` is thread-safe (shared_random.h).
  DenialLog(sql::Database& database, const Clock& clock, Random& random, metrics::Registry& registry);
  void note(Denial denial);
  // Writes what is queued; kept for the next call when the store does not take it.
  Task<Status> write();
  // Does so every second, until the database is closed.
  Task<> keep_writing();

 private:
  struct Queued {
    Denial denial;
    UtcMicros at;
  };
  Task<Status> write_chain(std::optional<TenantId> tenant, std::vector<Queued> batch);
  sql::Database& database_;
  const Clock& clock_;
  Random& random_;
  metrics::Counter& dropped_;
  std::mutex mutex_;
  std::vector<Queued> queue_;
};

}  // namespace bulkhead::access
