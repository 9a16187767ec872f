#include "features/schedules/host_functions.h"

namespace bulkhead::schedules {
namespace {

using protocol::HostCode;
using protocol::HostResult;

HostResult invalid(const std::vector<FieldError>& problems) {
  return broker::host_error(HostCode::kInvalid, "invalid_request",
                            problems.front().pointer + " " + problems.front().message + ".");
}

Task<HostResult> register_schedule(ScheduleService& service, broker::HostCallContext context, json::value request) {
  std::vector<FieldError> problems;
  JsonReader reader(request, problems);
  NewSchedule wanted;
  wanted.id = reader.required_string("id").value_or("");
  wanted.cron = reader.required_string("cron").value_or("");
  wanted.timezone = reader.optional_string("timezone").value_or("UTC");
  wanted.handler = reader.optional_string("handler").value_or("");
  if (const json::value* payload = reader.member("payload")) wanted.payload_json = json::serialize(*payload);
  reader.refuse_unknown();
  if (!problems.empty()) co_return invalid(problems);
  const std::string id = wanted.id;
  const auto next =
      co_await service.register_schedule(context.scope(), context.install().install_id, std::move(wanted));
  if (!next) co_return broker::host_error(next.error());
  co_return broker::host_answer({{"id", id}, {"next_at", to_rfc3339(*next)}});
}

Task<HostResult> cancel(ScheduleService& service, broker::HostCallContext context, json::value request) {
  std::vector<FieldError> problems;
  JsonReader reader(request, problems);
  std::string id = reader.required_string("id").value_or("");
  reader.refuse_unknown();
  if (!problems.empty()) co_return invalid(problems);
  const Status cancelled = co_await service.cancel(context.scope(), context.install().install_id, std::move(id));
  if (!cancelled) co_return broker::host_error(cancelled.error());
  co_return broker::host_answer(json::object{});
}

using Function = Task<HostResult> (*)(ScheduleService&, broker::HostCallContext, json::value);

broker::HostFunction function(std::string name, ScheduleService& service, Function serve) {
  return {.name = std::move(name),
          .capability = "schedules",
          .handler = [&service, serve](broker::HostCallContext context, json::value request) {
            return serve(service, std::move(context), std::move(request));
          }};
}

}  // namespace

broker::HostFunctions schedule_functions(ScheduleService& service) {
  return {function("schedules.register", service, register_schedule), function("schedules.cancel", service, cancel)};
}

}  // namespace bulkhead::schedules
