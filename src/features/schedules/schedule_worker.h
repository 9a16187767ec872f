// ScheduleWorker: fires schedules when they are due: once, whatever the number of nodes.
//
// A node that finds a schedule due moves its next_at on by compare-and-set and records the firing in the same
// transaction; whoever loses does nothing. A firing holds a lease while it runs; if its node dies, another takes it up
// (the same node at its next start), at most kMaxAttempts times, with the same request id.
//
// - Overlap: while a firing runs, the next one is recorded as skipped.
// - Missed: times that passed while nobody was there (later than kGrace) follow the schedule's policy: skip; run_once,
//   the last of them; all, one after the other, at most the last kMaxMissed.
// Looks every `poll`; due times are whole minutes, so that is soon enough. Its state belongs to core 0.
#pragma once

#include <string>
#include <vector>

#include "features/schedules/schedule_runner.h"
#include "features/schedules/schedule_store.h"
#include "platform/async/cores.h"
#include "platform/observe/metrics.h"

namespace bulkhead::schedules {

inline constexpr Micros kGrace = std::chrono::minutes(1);
inline constexpr std::int64_t kMaxMissed = 100;
inline constexpr std::int64_t kMaxAttempts = 3;

// What to do about a schedule that is due at `now`. Pure but for the time zone's file.
struct FiringPlan {
  enum class Act : std::uint8_t { kFire, kPassOver } act = Act::kFire;
  UtcMicros scheduled_at;  // of the firing
  UtcMicros next_at;
  std::int64_t missed = 0;  // times that are not made up for
};
Result<FiringPlan> plan_firing(const Schedule& schedule, UtcMicros now);

struct ScheduleWorkerOptions {
  std::size_t in_flight = 32;
  Millis poll{1'000};
  Micros keep = std::chrono::hours(24 * 30);  // of firings that are over
};

class ScheduleWorker {
 public:
  struct Dependencies {
    Cores& cores;
    sql::Database& database;
    ScheduleRunner& runner;
    const Clock& clock;
    Random& random;  // thread-safe
  };
  ScheduleWorker(Dependencies dependencies, ScheduleWorkerOptions options, metrics::Registry& registry);

  // On core 0, until `stop`.
  Task<> run();
  // Fires nothing more; returns once what runs has ended, or after `grace`. On core 0.
  Task<> stop(Millis grace);
  // One round: claims what is due and starts it. For `run` and for tests.
  Task<Status> fire_due();
  std::size_t running() const { return running_; }

 private:
  struct Work {
    Schedule schedule;
    Firing firing;
  };
  Result<std::vector<Work>> claim(sql::SystemTx& tx, UtcMicros now, std::int64_t room) const;
  Result<std::vector<Work>> claim_abandoned(sql::SystemTx& tx, UtcMicros now, std::int64_t room) const;
  Status claim_one(sql::SystemTx& tx, const Schedule& schedule, UtcMicros now, std::vector<Work>& work) const;
  void start(Work work);
  Task<> run_one(std::size_t core, Work work);
  Task<> keep_clean();

  Dependencies dependencies_;
  ScheduleWorkerOptions options_;
  metrics::Counter& fired_;
  metrics::Counter& failed_;
  std::size_t running_ = 0;
  std::size_t next_core_ = 0;
  UtcMicros next_clean_;
  bool stopping_ = false;
};

}  // namespace bulkhead::schedules
