#include "features/schedules/schedule_service.h"

#include <algorithm>

#include "features/schedules/time_zone.h"

namespace bulkhead::schedules {
namespace {

constexpr std::int64_t kShownFirings = 10;
constexpr std::size_t kMaxHandler = 128;

bool is_schedule_id(std::string_view id) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  };
  return !id.empty() && id.size() <= 64 && id.front() != '.' && id.front() != '-' && std::ranges::all_of(id, is_plain);
}

std::unexpected<Error> no_schedule() { return fail(ErrorCode::kNotFound, "The install has no such schedule."); }

Status check(const NewSchedule& wanted) {
  if (!is_schedule_id(wanted.id)) {
    return fail(ErrorCode::kUnprocessable, "A schedule's id is 1 to 64 letters, digits, dots, hyphens, underscores.");
  }
  if (wanted.handler.size() > kMaxHandler) return fail(ErrorCode::kUnprocessable, "The handler's name is too long.");
  if (wanted.payload_json && wanted.payload_json->size() > kMaxPayload) {
    return fail(ErrorCode::kPayloadTooLarge, "A schedule's payload holds at most 16 KiB.");
  }
  return {};
}

json::object audit_view(const Schedule& schedule) {
  return {{"id", schedule.schedule_id},
          {"enabled", schedule.is_enabled},
          {"missed", to_string(schedule.missed)},
          {"cron", schedule.cron}};
}

std::string resource_of(const Schedule& schedule) {
  return "install:" + schedule.install_id.to_string() + "/schedules/" + schedule.schedule_id;
}

}  // namespace

Task<Result<UtcMicros>> ScheduleService::register_schedule(TenantScope scope, InstallId install, NewSchedule wanted) {
  BH_CO_TRY_VOID(check(wanted));
  if (wanted.handler.empty()) wanted.handler = wanted.id;
  const UtcMicros now = dependencies_.clock.now();
  co_return co_await dependencies_.database.write(
      scope, [this, now, install, wanted = std::move(wanted)](sql::TenantTx& tx) -> Result<UtcMicros> {
        // On a database thread, because a zone's first use reads its file.
        BH_TRY(const UtcMicros next, next_due(wanted.cron, wanted.timezone, now));
        BH_TRY(const auto all, list_schedules(tx, install));
        const auto present = std::ranges::find(all, wanted.id, &Schedule::schedule_id);
        if (present == all.end()) {
          if (all.size() >= kMaxSchedules) {
            return fail(ErrorCode::kQuotaExceeded, "An install has at most 64 schedules.");
          }
          BH_TRY_VOID(insert_schedule(tx, {.id = ScheduleRowId::v7(now, dependencies_.random),
                                           .tenant_id = tx.tenant(),
                                           .install_id = install,
                                           .schedule_id = wanted.id,
                                           .origin = Origin::kGuest,
                                           .cron = wanted.cron,
                                           .timezone = wanted.timezone,
                                           .handler = wanted.handler,
                                           .payload_json = wanted.payload_json,
                                           .next_at = next,
                                           .created_at = now,
                                           .updated_at = now}));
          return next;
        }
        if (present->origin == Origin::kManifest) {
          return fail(ErrorCode::kConflict, "The manifest has a schedule of this id.");
        }
        Schedule replaced = *present;
        if (replaced.cron != wanted.cron || replaced.timezone != wanted.timezone) replaced.next_at = next;
        replaced.cron = wanted.cron;
        replaced.timezone = wanted.timezone;
        replaced.handler = wanted.handler;
        replaced.payload_json = wanted.payload_json;
        replaced.updated_at = now;
        BH_TRY_VOID(update_schedule(tx, replaced));
        return replaced.next_at;
      });
}

Task<Status> ScheduleService::cancel(TenantScope scope, InstallId install, std::string id) {
  co_return co_await dependencies_.database.write(scope, [install, id = std::move(id)](sql::TenantTx& tx) -> Status {
    BH_TRY(const auto found, find_schedule(tx, install, id));
    if (!found || found->origin == Origin::kManifest) return no_schedule();
    return delete_schedule(tx, found->id);
  });
}

Task<Result<std::vector<ScheduleDetails>>> ScheduleService::list(TenantScope scope, InstallId install) {
  co_return co_await dependencies_.database.read(scope,
                                                 [install](sql::TenantTx& tx) -> Result<std::vector<ScheduleDetails>> {
                                                   BH_TRY(auto schedules, list_schedules(tx, install));
                                                   std::vector<ScheduleDetails> all;
                                                   for (Schedule& schedule : schedules) {
                                                     BH_TRY(auto firings, list_firings(tx, schedule.id, kShownFirings));
                                                     all.push_back({std::move(schedule), std::move(firings)});
                                                   }
                                                   return all;
                                                 });
}

Task<Result<ScheduleDetails>> ScheduleService::change(access::Actor actor, TenantScope scope, InstallId install,
                                                      std::string id, ScheduleChange change) {
  const UtcMicros now = dependencies_.clock.now();
  co_return co_await dependencies_.database.write(
      scope,
      [this, now, install, id = std::move(id), change,
       actor = std::move(actor)](sql::TenantTx& tx) -> Result<ScheduleDetails> {
        BH_TRY(const auto found, find_schedule(tx, install, id));
        if (!found) return no_schedule();
        Schedule after = *found;
        if (change.missed) after.missed = *change.missed;
        if (change.is_enabled && *change.is_enabled && !after.is_enabled) {
          BH_TRY(after.next_at, next_due(after.cron, after.timezone, now));
        }
        after.is_enabled = change.is_enabled.value_or(after.is_enabled);
        after.updated_at = now;
        BH_TRY_VOID(update_schedule(tx, after));
        BH_TRY_VOID(access::append_audit(tx,
                                         access::audit_entry(actor, "install.schedule.update", resource_of(after),
                                                             audit_view(*found), audit_view(after)),
                                         now, dependencies_.random));
        BH_TRY(auto firings, list_firings(tx, after.id, kShownFirings));
        return ScheduleDetails{std::move(after), std::move(firings)};
      });
}

Task<Result<ScheduleService::Begun>> ScheduleService::begin_run(access::Actor actor, TenantScope scope,
                                                                InstallId install, std::string id) {
  BH_CO_TRY(const auto installed, co_await dependencies_.installs.find_install(install));
  if (installed && installed->tenant_id != scope.tenant()) co_return no_schedule();
  if (!installed) co_return fail(ErrorCode::kExtensionNotAvailable);
  const UtcMicros now = dependencies_.clock.now();
  const Lease lease{dependencies_.node, now + kFiringLease};
  co_return co_await dependencies_.database.write(
      scope,
      [this, now, install, id = std::move(id), actor = std::move(actor), lease](sql::TenantTx& tx) -> Result<Begun> {
        BH_TRY(const auto found, find_schedule(tx, install, id));
        if (!found) return no_schedule();
        BH_TRY(const bool running, has_running(tx, found->id, now));
        if (running) return fail(ErrorCode::kConflict, "The schedule is running already.");
        const Firing firing{.id = FiringId::v7(now, dependencies_.random),
                            .tenant_id = tx.tenant(),
                            .install_id = install,
                            .schedule_row_id = found->id,
                            .scheduled_at = now,
                            .kind = FiringKind::kManual,
                            .started_at = now};
        BH_TRY_VOID(insert_firing(tx, firing, lease));
        BH_TRY_VOID(access::append_audit(tx, access::audit_entry(actor, "install.schedule.run", resource_of(*found)),
                                         now, dependencies_.random));
        return Begun{*found, firing};
      });
}

}  // namespace bulkhead::schedules
