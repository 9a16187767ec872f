#include "features/schedules/schedule_store.h"

#include <array>

namespace bulkhead::schedules {
namespace {

constexpr std::array<std::string_view, 2> kOrigins = {"manifest", "guest"};
constexpr std::array<std::string_view, 3> kMissed = {"skip", "run_once", "all"};
constexpr std::array<std::string_view, 2> kKinds = {"scheduled", "manual"};
constexpr std::array<std::string_view, 4> kStates = {"running", "ok", "failed", "skipped"};

template <typename Enum, std::size_t N>
std::string_view name_of(const std::array<std::string_view, N>& names, Enum value) {
  return names.at(static_cast<std::size_t>(value));
}
template <typename Enum, std::size_t N>
std::optional<Enum> parse_name(const std::array<std::string_view, N>& names, std::string_view text) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names.at(i) == text) return static_cast<Enum>(i);
  }
  return std::nullopt;
}
template <typename Enum, std::size_t N>
Enum stored_name(const std::array<std::string_view, N>& names, std::string_view text) {
  const auto value = parse_name<Enum>(names, text);
  BH_ASSERT(value.has_value());
  return *value;
}

const std::string kScheduleColumns =
    "s.id, s.tenant_id, s.install_id, s.schedule_id, s.origin, s.cron, s.timezone, s.handler, s.payload, s.missed, "
    "s.is_enabled, s.install_enabled, s.next_at, s.created_at, s.updated_at";
constexpr std::size_t kScheduleColumnCount = 15;
const std::string kFiringColumns =
    "f.id, f.tenant_id, f.install_id, f.schedule_row_id, f.scheduled_at, f.kind, f.state, f.attempts, f.execution_id, "
    "f.error_code, f.error_message, f.started_at, f.ended_at";

Schedule schedule_of(const sql::Row& row, std::size_t at = 0) {
  return {.id = row.id<ScheduleRowId>(at),
          .tenant_id = row.id<TenantId>(at + 1),
          .install_id = row.id<InstallId>(at + 2),
          .schedule_id = row.text(at + 3),
          .origin = stored_name<Origin>(kOrigins, row.text(at + 4)),
          .cron = row.text(at + 5),
          .timezone = row.text(at + 6),
          .handler = row.text(at + 7),
          .payload_json = row.optional_text(at + 8),
          .missed = stored_name<Missed>(kMissed, row.text(at + 9)),
          .is_enabled = row.boolean(at + 10),
          .install_enabled = row.boolean(at + 11),
          .next_at = row.time(at + 12),
          .created_at = row.time(at + 13),
          .updated_at = row.time(at + 14)};
}

Firing firing_of(const sql::Row& row, std::size_t at = 0) {
  Firing firing;
  firing.id = row.id<FiringId>(at);
  firing.tenant_id = row.id<TenantId>(at + 1);
  firing.install_id = row.id<InstallId>(at + 2);
  firing.schedule_row_id = row.id<ScheduleRowId>(at + 3);
  firing.scheduled_at = row.time(at + 4);
  firing.kind = stored_name<FiringKind>(kKinds, row.text(at + 5));
  firing.state = stored_name<FiringState>(kStates, row.text(at + 6));
  firing.attempts = row.integer(at + 7);
  if (!row.is_null(at + 8)) firing.execution_id = row.id<ExecutionId>(at + 8);
  firing.error_code = row.optional_text(at + 9).value_or("");
  firing.error_message = row.optional_text(at + 10).value_or("");
  firing.started_at = row.time(at + 11);
  if (!row.is_null(at + 12)) firing.ended_at = row.time(at + 12);
  return firing;
}

Result<std::vector<Schedule>> schedules_of(Result<sql::Rows> rows) {
  if (!rows) return fail(std::move(rows.error()));
  std::vector<Schedule> found;
  found.reserve(rows->size());
  for (const sql::Row& row : *rows) found.push_back(schedule_of(row));
  return found;
}

std::string select_own(std::string_view rest) {
  return "SELECT " + kScheduleColumns + " FROM extension_schedule s WHERE s.tenant_id = $1 AND " + std::string(rest);
}

constexpr const char* kInsertFiring =
    "INSERT INTO extension_schedule_firing (tenant_id, id, install_id, schedule_row_id, scheduled_at, kind, state, "
    "attempts, lease_owner, lease_until, error_code, error_message, started_at, ended_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

// Without the tenant, which is $1.
sql::Values firing_values(const Firing& firing, const std::optional<Lease>& lease) {
  return {firing.id,
          firing.install_id,
          firing.schedule_row_id,
          firing.scheduled_at,
          to_string(firing.kind),
          to_string(firing.state),
          firing.attempts,
          lease ? sql::Value(lease->owner) : sql::Value(),
          lease ? sql::Value(lease->until) : sql::Value(),
          firing.error_code,
          firing.error_message,
          firing.started_at,
          firing.ended_at};
}

}  // namespace

std::string_view to_string(Origin origin) { return name_of(kOrigins, origin); }
std::string_view to_string(Missed missed) { return name_of(kMissed, missed); }
std::optional<Missed> parse_missed(std::string_view text) { return parse_name<Missed>(kMissed, text); }
std::string_view to_string(FiringKind kind) { return name_of(kKinds, kind); }
std::string_view to_string(FiringState state) { return name_of(kStates, state); }

Result<std::vector<Schedule>> list_schedules(sql::TenantTx& tx, const InstallId& install) {
  return schedules_of(tx.query(select_own("s.install_id = $2 ORDER BY s.schedule_id"), {install}));
}

Result<std::optional<Schedule>> find_schedule(sql::TenantTx& tx, const InstallId& install,
                                              const std::string& schedule_id) {
  BH_TRY(const auto found,
         schedules_of(tx.query(select_own("s.install_id = $2 AND s.schedule_id = $3"), {install, schedule_id})));
  if (found.empty()) return std::nullopt;
  return found.front();
}

Status insert_schedule(sql::TenantTx& tx, const Schedule& schedule) {
  BH_TRY_VOID(tx.execute(
      "INSERT INTO extension_schedule (tenant_id, id, install_id, schedule_id, origin, cron, timezone, handler, "
      "payload, missed, is_enabled, install_enabled, next_at, created_at, updated_at) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
      {schedule.id, schedule.install_id, schedule.schedule_id, to_string(schedule.origin), schedule.cron,
       schedule.timezone, schedule.handler, schedule.payload_json, to_string(schedule.missed), schedule.is_enabled,
       schedule.install_enabled, schedule.next_at, schedule.created_at, schedule.updated_at}));
  return {};
}

Status update_schedule(sql::TenantTx& tx, const Schedule& schedule) {
  BH_TRY_VOID(tx.execute(
      "UPDATE extension_schedule SET origin = $3, cron = $4, timezone = $5, handler = $6, payload = $7, missed = $8, "
      "is_enabled = $9, install_enabled = $10, next_at = $11, updated_at = $12 WHERE tenant_id = $1 AND id = $2",
      {schedule.id, to_string(schedule.origin), schedule.cron, schedule.timezone, schedule.handler,
       schedule.payload_json, to_string(schedule.missed), schedule.is_enabled, schedule.install_enabled,
       schedule.next_at, schedule.updated_at}));
  return {};
}

Status delete_schedule(sql::TenantTx& tx, const ScheduleRowId& id) {
  BH_TRY_VOID(tx.execute("DELETE FROM extension_schedule_firing WHERE tenant_id = $1 AND schedule_row_id = $2", {id}));
  BH_TRY_VOID(tx.execute("DELETE FROM extension_schedule WHERE tenant_id = $1 AND id = $2", {id}));
  return {};
}

Status forget_install(sql::TenantTx& tx, const InstallId& install) {
  BH_TRY_VOID(
      tx.execute("DELETE FROM extension_schedule_firing WHERE tenant_id = $1 AND schedule_row_id IN (SELECT id FROM "
                 "extension_schedule WHERE tenant_id = $1 AND install_id = $2)",
                 {install}));
  BH_TRY_VOID(tx.execute("DELETE FROM extension_schedule WHERE tenant_id = $1 AND install_id = $2", {install}));
  return {};
}

Result<std::vector<Schedule>> list_due(sql::SystemTx& tx, UtcMicros now, std::int64_t limit) {
  return schedules_of(tx.query("SELECT " + kScheduleColumns +
                                   " FROM extension_schedule s WHERE s.is_enabled = 1 AND s.install_enabled = 1 AND "
                                   "s.next_at <= $1 ORDER BY s.next_at LIMIT $2",
                               {now, limit}));
}

Result<std::optional<UtcMicros>> next_due(sql::SystemTx& tx) {
  BH_TRY(const auto rows, tx.query("SELECT next_at FROM extension_schedule WHERE is_enabled = 1 AND "
                                   "install_enabled = 1 ORDER BY next_at LIMIT 1"));
  if (rows.empty()) return std::nullopt;
  return rows.front().time(0);
}

Result<bool> move_next(sql::SystemTx& tx, const Schedule& schedule, UtcMicros next) {
  BH_TRY(const std::int64_t changed,
         tx.execute("UPDATE extension_schedule SET next_at = $3 WHERE id = $1 AND next_at = $2 AND is_enabled = 1 AND "
                    "install_enabled = 1 AND cron = $4 AND timezone = $5",
                    {schedule.id, schedule.next_at, next, schedule.cron, schedule.timezone}));
  return changed == 1;
}

Result<bool> has_running(sql::SystemTx& tx, const ScheduleRowId& schedule, UtcMicros now) {
  BH_TRY(const auto rows, tx.query("SELECT 1 FROM extension_schedule_firing WHERE schedule_row_id = $1 AND "
                                   "state = 'running' AND lease_until > $2 LIMIT 1",
                                   {schedule, now}));
  return !rows.empty();
}

Result<bool> has_running(sql::TenantTx& tx, const ScheduleRowId& schedule, UtcMicros now) {
  BH_TRY(const auto rows, tx.query("SELECT 1 FROM extension_schedule_firing WHERE tenant_id = $1 AND "
                                   "schedule_row_id = $2 AND state = 'running' AND lease_until > $3 LIMIT 1",
                                   {schedule, now}));
  return !rows.empty();
}

Status insert_firing(sql::SystemTx& tx, const Firing& firing, const std::optional<Lease>& lease) {
  sql::Values values = firing_values(firing, lease);
  values.insert(values.begin(), firing.tenant_id);
  BH_TRY_VOID(tx.execute(kInsertFiring, values));
  return {};
}

Status insert_firing(sql::TenantTx& tx, const Firing& firing, const std::optional<Lease>& lease) {
  BH_TRY_VOID(tx.execute(kInsertFiring, firing_values(firing, lease)));
  return {};
}

Status finish_firing(sql::SystemTx& tx, const Firing& firing, const std::string& owner) {
  BH_TRY_VOID(tx.execute(
      "UPDATE extension_schedule_firing SET state = $3, execution_id = $4, error_code = $5, error_message = $6, "
      "ended_at = $7, lease_owner = NULL, lease_until = NULL WHERE id = $1 AND lease_owner = $2 AND attempts = $8",
      {firing.id, owner, to_string(firing.state), firing.execution_id, firing.error_code, firing.error_message,
       firing.ended_at, firing.attempts}));
  return {};
}

Result<std::vector<TakenUp>> take_up(sql::SystemTx& tx, UtcMicros now, const Lease& lease, std::int64_t limit) {
  BH_TRY(const auto rows,
         tx.query("SELECT " + kScheduleColumns + ", " + kFiringColumns +
                      " FROM extension_schedule_firing f JOIN extension_schedule s ON s.id = f.schedule_row_id "
                      "WHERE f.state = 'running' AND f.lease_until <= $1 ORDER BY f.lease_until LIMIT $2",
                  {now, limit}));
  std::vector<TakenUp> taken;
  for (const sql::Row& row : rows) {
    TakenUp one{.firing = firing_of(row, kScheduleColumnCount), .schedule = schedule_of(row)};
    BH_TRY(const std::int64_t changed,
           tx.execute("UPDATE extension_schedule_firing SET attempts = attempts + 1, lease_owner = $2, lease_until = "
                      "$3 WHERE id = $1 AND state = 'running' AND lease_until <= $4",
                      {one.firing.id, lease.owner, lease.until, now}));
    if (changed == 0) continue;
    ++one.firing.attempts;
    taken.push_back(std::move(one));
  }
  return taken;
}

Result<bool> has_abandoned(sql::SystemTx& tx, UtcMicros now) {
  BH_TRY(const auto rows, tx.query("SELECT 1 FROM extension_schedule_firing WHERE state = 'running' AND "
                                   "lease_until <= $1 LIMIT 1",
                                   {now}));
  return !rows.empty();
}

Status release_leases(sql::SystemTx& tx, const std::string& owner, UtcMicros now) {
  BH_TRY_VOID(
      tx.execute("UPDATE extension_schedule_firing SET lease_until = $2 WHERE state = 'running' AND "
                 "lease_owner = $1",
                 {owner, now}));
  return {};
}

Result<std::vector<Firing>> list_firings(sql::TenantTx& tx, const ScheduleRowId& schedule, std::int64_t limit) {
  BH_TRY(const auto rows, tx.query("SELECT " + kFiringColumns +
                                       " FROM extension_schedule_firing f WHERE f.tenant_id = $1 AND "
                                       "f.schedule_row_id = $2 ORDER BY f.id DESC LIMIT $3",
                                   {schedule, limit}));
  std::vector<Firing> firings;
  firings.reserve(rows.size());
  for (const sql::Row& row : rows) firings.push_back(firing_of(row));
  return firings;
}

Result<std::int64_t> forget_old(sql::SystemTx& tx, UtcMicros before, std::int64_t limit) {
  return tx.execute(
      "DELETE FROM extension_schedule_firing WHERE id IN (SELECT id FROM extension_schedule_firing WHERE "
      "state <> 'running' AND ended_at < $1 ORDER BY ended_at LIMIT $2)",
      {before, limit});
}

}  // namespace bulkhead::schedules
