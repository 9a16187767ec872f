#include "features/schedules/schedule_runner.h"

#include "features/access/request_identity.h"
#include "platform/observe/log.h"

namespace bulkhead::schedules {
namespace {

constexpr std::size_t kMaxMessage = 500;

void failed(Firing& firing, std::string_view code, std::string message) {
  firing.state = FiringState::kFailed;
  firing.error_code = code;
  firing.error_message = message.substr(0, kMaxMessage);
}

void failed(Firing& firing, const Error& error) {
  failed(firing, error.wire_code(), error.message.empty() ? std::string(error_info(error.code).title) : error.message);
}

}  // namespace

Lease ScheduleRunner::new_lease() const { return {dependencies_.node, dependencies_.clock.now() + kFiringLease}; }

Task<Firing> ScheduleRunner::run(std::size_t core, Schedule schedule, Firing firing) {
  co_await invoke(core, schedule, firing);
  firing.ended_at = dependencies_.clock.now();
  const Status written = co_await dependencies_.database.system_write(
      [firing, node = dependencies_.node](sql::SystemTx& tx) { return finish_firing(tx, firing, node); });
  // Its lease runs out then, and it is run again: at least once.
  if (!written) log::warn("schedule_firing_not_settled", written.error(), {{"firing_id", firing.id.to_string()}});
  co_return firing;
}

Task<> ScheduleRunner::invoke(std::size_t core, const Schedule& schedule, Firing& firing) {
  auto install = co_await dependencies_.installs.find_install(schedule.install_id);
  if (!install) co_return failed(firing, install.error());
  if (!*install || (*install)->tenant_id != schedule.tenant_id) {
    co_return failed(firing, "extension_not_available", "The install is disabled or gone.");
  }
  invocations::Invocation invocation;
  invocation.install = *install;
  invocation.version = invocation.install->current.get();
  invocation.kind = executions::ExecutionKind::kSchedule;
  invocation.retry = invocations::Retry::kIfNotStarted;
  invocation.request_id = firing.id.to_string();  // the same at every attempt
  invocation.trace_parent = access::child_trace_parent({}, dependencies_.random);
  invocation.method = "SCHEDULE";
  invocation.path = schedule.schedule_id;
  invocation.call = protocol::ScheduleCall{.id = schedule.schedule_id,
                                           .handler = schedule.handler,
                                           .payload_json = schedule.payload_json.value_or(""),
                                           .scheduled_at = to_rfc3339(firing.scheduled_at)};
  const auto outcome = co_await dependencies_.invoker.run(core, std::move(invocation));
  if (!outcome) co_return failed(firing, outcome.error());
  firing.execution_id = outcome->id;
  if (const Error* error = outcome->failure()) co_return failed(firing, *error);
  if (outcome->answer->status >= 400) {
    co_return failed(firing, "handler_status",
                     "The handler answered with status " + std::to_string(outcome->answer->status) + ".");
  }
  firing.state = FiringState::kOk;
}

}  // namespace bulkhead::schedules
