#include "features/schedules/schedule_follower.h"

#include <algorithm>

#include "features/schedules/schedule_service.h"
#include "features/schedules/time_zone.h"

namespace bulkhead::schedules {
namespace {

Status put(sql::TenantTx& tx, const std::vector<Schedule>& present, Schedule wanted) {
  const auto same = std::ranges::find(present, wanted.schedule_id, &Schedule::schedule_id);
  if (same == present.end()) return insert_schedule(tx, wanted);
  const bool goes_on = same->cron == wanted.cron && same->timezone == wanted.timezone && same->install_enabled;
  wanted.id = same->id;
  wanted.missed = same->missed;
  wanted.is_enabled = same->is_enabled;
  if (goes_on) wanted.next_at = same->next_at;
  return update_schedule(tx, wanted);
}

// A guest's own: only the install's state can have changed.
Status follow_state(sql::TenantTx& tx, Schedule schedule, const extensions::Install& install) {
  if (schedule.install_enabled == install.is_enabled) return {};
  schedule.install_enabled = install.is_enabled;
  BH_TRY(schedule.next_at, next_due(schedule.cron, schedule.timezone, install.updated_at));
  schedule.updated_at = install.updated_at;
  return update_schedule(tx, schedule);
}

}  // namespace

Status ScheduleFollower::check(const bundles::Manifest& manifest) const {
  if (manifest.schedules.size() > kMaxSchedules) {
    return fail(ErrorCode::kUnprocessable, "A manifest has at most 64 schedules.");
  }
  for (std::size_t i = 0; i < manifest.schedules.size(); ++i) {
    const bundles::ScheduleSpec& spec = manifest.schedules[i];
    const auto next = next_due(spec.cron, spec.timezone, {0});
    if (next) continue;
    Error error = next.error();
    error.fields.push_back({"/schedules/" + std::to_string(i), error.message});
    return fail(std::move(error));
  }
  return {};
}

Status ScheduleFollower::follow(sql::TenantTx& tx, const extensions::Install& install,
                                const bundles::Manifest& manifest) {
  BH_TRY(const auto present, list_schedules(tx, install.id));
  for (const bundles::ScheduleSpec& spec : manifest.schedules) {
    const auto next = next_due(spec.cron, spec.timezone, install.updated_at);
    if (!next) continue;  // a version from before the check, come back by a rollback
    BH_TRY_VOID(put(tx, present,
                    {.id = ScheduleRowId::v7(install.updated_at, random_),
                     .tenant_id = tx.tenant(),
                     .install_id = install.id,
                     .schedule_id = spec.id,
                     .origin = Origin::kManifest,
                     .cron = spec.cron,
                     .timezone = spec.timezone,
                     .handler = spec.handler,
                     .payload_json = std::nullopt,
                     .install_enabled = install.is_enabled,
                     .next_at = *next,
                     .created_at = install.updated_at,
                     .updated_at = install.updated_at}));
  }
  for (const Schedule& schedule : present) {
    const bool named = std::ranges::find(manifest.schedules, schedule.schedule_id, &bundles::ScheduleSpec::id) !=
                       manifest.schedules.end();
    if (named) continue;
    if (schedule.origin == Origin::kManifest) {
      BH_TRY_VOID(delete_schedule(tx, schedule.id));
    } else {
      BH_TRY_VOID(follow_state(tx, schedule, install));
    }
  }
  return {};
}

Status ScheduleFollower::forget(sql::TenantTx& tx, const InstallId& install) { return forget_install(tx, install); }

}  // namespace bulkhead::schedules
