#include "features/schedules/schedule_worker.h"

#include "features/schedules/time_zone.h"
#include "platform/observe/log.h"

namespace bulkhead::schedules {
namespace {

constexpr Millis kCleanInterval{60'000};
constexpr std::int64_t kCleanBatch = 1'000;
// Of a schedule that can't be read (a time zone that is gone): not tried again for so long.
constexpr Micros kUnreadablePause = std::chrono::hours(1);

// The last of the times from `first` on that are not later than `now`, and how many there are.
struct Occurrences {
  UtcMicros first;  // that is counted
  UtcMicros last;
  std::int64_t count = 0;
};
Occurrences occurrences(const TimeZone& zone, const Cron& cron, UtcMicros first, UtcMicros now) {
  constexpr std::int64_t kMostSteps = 20'000;
  Occurrences found{.first = first, .last = first, .count = 1};
  for (std::int64_t step = 0; step < kMostSteps; ++step) {
    const UtcMicros next = zone.next(cron, found.last);
    if (next > now) return found;
    found.last = next;
    ++found.count;
  }
  // Weeks of every minute: only the last day of them counts.
  return occurrences(zone, cron, zone.next(cron, now - std::chrono::hours(24)), now);
}

}  // namespace

Result<FiringPlan> plan_firing(const Schedule& schedule, UtcMicros now) {
  BH_TRY(const Cron cron, Cron::parse(schedule.cron));
  BH_TRY(const TimeZone zone, TimeZone::find(schedule.timezone));
  const Occurrences due = occurrences(zone, cron, schedule.next_at, now);
  const UtcMicros next = zone.next(cron, now);
  const bool in_time = now - due.last < kGrace;
  switch (schedule.missed) {
    case Missed::kRunOnce:
      return FiringPlan{.scheduled_at = due.last, .next_at = next, .missed = due.count - 1};
    case Missed::kSkip:
      return FiringPlan{.act = in_time ? FiringPlan::Act::kFire : FiringPlan::Act::kPassOver,
                        .scheduled_at = due.last,
                        .next_at = next,
                        .missed = in_time ? due.count - 1 : due.count};
    case Missed::kAll:
      break;
  }
  UtcMicros first = due.first;
  std::int64_t dropped = 0;
  for (; due.count - dropped > kMaxMissed; ++dropped) first = zone.next(cron, first);
  return FiringPlan{.scheduled_at = first, .next_at = zone.next(cron, first), .missed = dropped};
}

ScheduleWorker::ScheduleWorker(Dependencies dependencies, ScheduleWorkerOptions options, metrics::Registry& registry)
    : dependencies_(dependencies),
      options_(options),
      fired_(registry.counter("schedule_firings_total", "Firings of schedules.", {{"outcome", "ok"}})),
      failed_(registry.counter("schedule_firings_total", "Firings of schedules.", {{"outcome", "failed"}})) {}

Task<> ScheduleWorker::run() {
  const auto released = co_await dependencies_.database.system_write(
      [node = dependencies_.runner.node(), now = dependencies_.clock.now()](sql::SystemTx& tx) {
        return release_leases(tx, node, now);
      });
  if (!released) log::warn("schedule_leases_not_released", released.error());
  while (!stopping_) {
    if (const Status done = co_await fire_due(); !done) log::warn("schedule_round_failed", done.error());
    co_await keep_clean();
    co_await sleep_for(options_.poll);
  }
}

Task<Status> ScheduleWorker::fire_due() {
  if (running_ >= options_.in_flight) co_return Status();
  const UtcMicros now = dependencies_.clock.now();
  // Most looks find nothing: a read, which takes no turn from the writers.
  BH_CO_TRY(const bool any, co_await dependencies_.database.system_read([now](sql::SystemTx& tx) -> Result<bool> {
    BH_TRY(const auto next, next_due(tx));
    BH_TRY(const bool abandoned, has_abandoned(tx, now));
    return abandoned || (next && *next <= now);
  }));
  if (!any) co_return Status();
  const auto room = static_cast<std::int64_t>(options_.in_flight - running_);
  BH_CO_TRY(auto work, co_await dependencies_.database.system_write(
                           [this, now, room](sql::SystemTx& tx) { return claim(tx, now, room); }));
  for (Work& one : work) start(std::move(one));
  co_return Status();
}

Result<std::vector<ScheduleWorker::Work>> ScheduleWorker::claim(sql::SystemTx& tx, UtcMicros now,
                                                                std::int64_t room) const {
  BH_TRY(auto work, claim_abandoned(tx, now, room));
  BH_TRY(const auto due, list_due(tx, now, room));
  for (const Schedule& schedule : due) {
    if (static_cast<std::int64_t>(work.size()) >= room) break;
    BH_TRY_VOID(claim_one(tx, schedule, now, work));
  }
  return work;
}

Result<std::vector<ScheduleWorker::Work>> ScheduleWorker::claim_abandoned(sql::SystemTx& tx, UtcMicros now,
                                                                          std::int64_t room) const {
  BH_TRY(auto taken, take_up(tx, now, dependencies_.runner.new_lease(), room));
  std::vector<Work> work;
  for (TakenUp& one : taken) {
    if (one.firing.attempts <= kMaxAttempts) {
      work.push_back({std::move(one.schedule), std::move(one.firing)});
      continue;
    }
    one.firing.state = FiringState::kFailed;
    one.firing.error_code = "outcome_unknown";
    one.firing.error_message = "Every node that ran it ended before it did.";
    one.firing.ended_at = now;
    BH_TRY_VOID(finish_firing(tx, one.firing, dependencies_.runner.node()));
  }
  return work;
}

Status ScheduleWorker::claim_one(sql::SystemTx& tx, const Schedule& schedule, UtcMicros now,
                                 std::vector<Work>& work) const {
  const auto plan = plan_firing(schedule, now);
  if (!plan) {
    log::error("schedule_not_readable", plan.error(), {{"schedule_id", schedule.id.to_string()}});
    BH_TRY_VOID(move_next(tx, schedule, now + kUnreadablePause));
    return {};
  }
  BH_TRY(const bool running, has_running(tx, schedule.id, now));
  // Made up for one after the other: the next one waits.
  if (running && schedule.missed == Missed::kAll && now - plan->scheduled_at >= kGrace) return {};
  BH_TRY(const bool ours, move_next(tx, schedule, plan->next_at));
  if (!ours || plan->act == FiringPlan::Act::kPassOver) return {};
  Firing firing{.id = FiringId::v7(now, dependencies_.random),
                .tenant_id = schedule.tenant_id,
                .install_id = schedule.install_id,
                .schedule_row_id = schedule.id,
                .scheduled_at = plan->scheduled_at,
                .kind = FiringKind::kScheduled,
                .started_at = now};
  if (running) {
    firing.state = FiringState::kSkipped;
    firing.error_code = "overlap";
    firing.error_message = "The firing before was still running.";
    firing.ended_at = now;
    return insert_firing(tx, firing, std::nullopt);
  }
  BH_TRY_VOID(insert_firing(tx, firing, dependencies_.runner.new_lease()));
  work.push_back({schedule, std::move(firing)});
  return {};
}

void ScheduleWorker::start(Work work) {
  ++running_;
  const std::size_t core = next_core_++ % dependencies_.cores.size();
  dependencies_.cores.spawn(core,
                            [this, core, work = std::move(work)]() mutable { return run_one(core, std::move(work)); });
}

Task<> ScheduleWorker::run_one(std::size_t core, Work work) {
  const Firing ended = co_await dependencies_.runner.run(core, std::move(work.schedule), std::move(work.firing));
  (ended.state == FiringState::kOk ? fired_ : failed_).add();
  asio::post(dependencies_.cores.at(0).executor(), [this] { --running_; });
}

Task<> ScheduleWorker::keep_clean() {
  const UtcMicros now = dependencies_.clock.now();
  if (now < next_clean_) co_return;
  next_clean_ = now + kCleanInterval;
  const auto removed = co_await dependencies_.database.system_write(
      [before = now - options_.keep](sql::SystemTx& tx) { return forget_old(tx, before, kCleanBatch); });
  if (!removed) log::warn("schedule_firings_not_cleaned", removed.error());
}

Task<> ScheduleWorker::stop(Millis grace) {
  stopping_ = true;
  const SteadyTime until = dependencies_.clock.steady_now() + grace;
  while (running_ > 0 && dependencies_.clock.steady_now() < until) co_await sleep_for(Millis(5));
}

}  // namespace bulkhead::schedules
