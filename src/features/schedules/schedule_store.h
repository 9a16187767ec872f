// All SQL of the schedules room (migrations/0001_schedules.sql says what the columns mean).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "platform/sql/database.h"

namespace bulkhead::schedules {

using ScheduleRowId = Id<struct ScheduleRowTag>;
using FiringId = Id<struct FiringTag>;

enum class Origin : std::uint8_t { kManifest, kGuest };
std::string_view to_string(Origin origin);

// What is done about times at which nobody was there to fire.
enum class Missed : std::uint8_t { kSkip, kRunOnce, kAll };
std::string_view to_string(Missed missed);
std::optional<Missed> parse_missed(std::string_view text);

struct Schedule {
  ScheduleRowId id;
  TenantId tenant_id;
  InstallId install_id;
  std::string schedule_id;
  Origin origin = Origin::kManifest;
  std::string cron;
  std::string timezone = "UTC";
  std::string handler;
  std::optional<std::string> payload_json;
  Missed missed = Missed::kRunOnce;
  bool is_enabled = true;
  bool install_enabled = true;
  UtcMicros next_at;
  UtcMicros created_at;
  UtcMicros updated_at;
};

enum class FiringKind : std::uint8_t { kScheduled, kManual };
std::string_view to_string(FiringKind kind);
enum class FiringState : std::uint8_t { kRunning, kOk, kFailed, kSkipped };
std::string_view to_string(FiringState state);

struct Firing {
  FiringId id;
  TenantId tenant_id;
  InstallId install_id;
  ScheduleRowId schedule_row_id;
  UtcMicros scheduled_at;
  FiringKind kind = FiringKind::kScheduled;
  FiringState state = FiringState::kRunning;
  std::int64_t attempts = 1;
  std::optional<ExecutionId> execution_id = {};
  std::string error_code = {};
  std::string error_message = {};
  UtcMicros started_at;
  std::optional<UtcMicros> ended_at = {};
};

// Longer than any execution.
inline constexpr Micros kFiringLease = std::chrono::seconds(60);
struct Lease {
  std::string owner;
  UtcMicros until;
};

// --- schedules ---
Result<std::vector<Schedule>> list_schedules(sql::TenantTx& tx, const InstallId& install);
Result<std::optional<Schedule>> find_schedule(sql::TenantTx& tx, const InstallId& install,
                                              const std::string& schedule_id);
Status insert_schedule(sql::TenantTx& tx, const Schedule& schedule);
// Every column that can change.
Status update_schedule(sql::TenantTx& tx, const Schedule& schedule);
// With its firings.
Status delete_schedule(sql::TenantTx& tx, const ScheduleRowId& id);
Status forget_install(sql::TenantTx& tx, const InstallId& install);

// --- firing ---
Result<std::vector<Schedule>> list_due(sql::SystemTx& tx, UtcMicros now, std::int64_t limit);
Result<std::optional<UtcMicros>> next_due(sql::SystemTx& tx);
// Compare and set: false when somebody else has fired it, or it was changed.
Result<bool> move_next(sql::SystemTx& tx, const Schedule& schedule, UtcMicros next);
Result<bool> has_running(sql::SystemTx& tx, const ScheduleRowId& schedule, UtcMicros now);
Result<bool> has_running(sql::TenantTx& tx, const ScheduleRowId& schedule, UtcMicros now);
Status insert_firing(sql::SystemTx& tx, const Firing& firing, const std::optional<Lease>& lease);
Status insert_firing(sql::TenantTx& tx, const Firing& firing, const std::optional<Lease>& lease);
// What it was, of the firing that still belongs to `owner`.
Status finish_firing(sql::SystemTx& tx, const Firing& firing, const std::string& owner);

// A running firing whose lease is over, with its schedule; taken with a new lease and one more attempt.
struct TakenUp {
  Firing firing;
  Schedule schedule;
};
Result<std::vector<TakenUp>> take_up(sql::SystemTx& tx, UtcMicros now, const Lease& lease, std::int64_t limit);
Result<bool> has_abandoned(sql::SystemTx& tx, UtcMicros now);
Status release_leases(sql::SystemTx& tx, const std::string& owner, UtcMicros now);

// Newest first.
Result<std::vector<Firing>> list_firings(sql::TenantTx& tx, const ScheduleRowId& schedule, std::int64_t limit);
Result<std::int64_t> forget_old(sql::SystemTx& tx, UtcMicros before, std::int64_t limit);

}  // namespace bulkhead::schedules
