// Schedules of installs: registering, cancelling, listing, switching, running by hand. All the rules; no HTTP, no
// host-call JSON. ScheduleWorker fires what is due. Thread-safe; any core.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "features/access/audit.h"
#include "features/extensions/installed.h"
#include "features/schedules/schedule_store.h"

namespace bulkhead::schedules {

inline constexpr std::size_t kMaxSchedules = 64;  // of one install, the manifest's included
inline constexpr std::size_t kMaxPayload = std::size_t{16} * 1024;

struct NewSchedule {
  std::string id;
  std::string cron;
  std::string timezone = "UTC";
  std::string handler;  // empty: the id
  std::optional<std::string> payload_json;
};

struct ScheduleChange {
  std::optional<bool> is_enabled;
  std::optional<Missed> missed;
};

struct ScheduleDetails {
  Schedule schedule;
  std::vector<Firing> firings;  // the last few, newest first
};

class ScheduleService {
 public:
  struct Dependencies {
    sql::Database& database;
    extensions::InstallDirectory& installs;
    const Clock& clock;
    Random& random;    // thread-safe
    std::string node;  // as ScheduleRunner's
  };
  explicit ScheduleService(Dependencies dependencies) : dependencies_(std::move(dependencies)) {}

  // By a guest: makes or replaces. The moment of its next firing; the same cron and zone as before leave that alone.
  // kUnprocessable, kPayloadTooLarge, kConflict (the manifest has it), kQuotaExceeded.
  Task<Result<UtcMicros>> register_schedule(TenantScope scope, InstallId install, NewSchedule wanted);
  // kNotFound; those of the manifest stay (kNotFound as well: a guest has no such schedule).
  Task<Status> cancel(TenantScope scope, InstallId install, std::string id);

  Task<Result<std::vector<ScheduleDetails>>> list(TenantScope scope, InstallId install);
  // Enabled again, it goes on with the next time from now; what was missed meanwhile is not made up for.
  Task<Result<ScheduleDetails>> change(access::Actor actor, TenantScope scope, InstallId install, std::string id,
                                       ScheduleChange change);
  // A firing by hand, begun now, for ScheduleRunner. kNotFound; kConflict while it runs; kExtensionNotAvailable.
  struct Begun {
    Schedule schedule;
    Firing firing;
  };
  Task<Result<Begun>> begin_run(access::Actor actor, TenantScope scope, InstallId install, std::string id);

 private:
  Dependencies dependencies_;
};

}  // namespace bulkhead::schedules
