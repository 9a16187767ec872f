#include "features/events/host_functions.h"

namespace bulkhead::events {
namespace {

using protocol::HostCode;
using protocol::HostResult;

Task<HostResult> emit(EventService& service, broker::HostCallContext context, json::value request) {
  std::vector<FieldError> problems;
  JsonReader reader(request, problems);
  Emission emission;
  emission.topic = reader.required_string("topic").value_or("");
  const auto id = reader.optional_string("id");
  if (id && id->empty()) reader.problem("id", "must not be empty");
  emission.id = id.value_or("");
  const json::value* payload = reader.member("payload");
  if (payload == nullptr) reader.problem("payload", "is required");
  reader.refuse_unknown();
  if (!problems.empty()) {
    co_return broker::host_error(HostCode::kInvalid, "invalid_request",
                                 problems[0].pointer + " " + problems[0].message + ".");
  }
  emission.payload_json = json::serialize(*payload);
  emission.hops = context.execution->hops;
  emission.trace_parent = context.execution->trace_parent;
  const auto emitted = co_await service.emit(context.scope(), context.install(), std::move(emission));
  if (!emitted) co_return broker::host_error(emitted.error());
  co_return broker::host_answer({{"id", *emitted}});
}

}  // namespace

broker::HostFunctions event_functions(EventService& service) {
  return {{.name = "events.emit",
           .capability = "events.emit",
           .handler = [&service](broker::HostCallContext context, json::value request) {
             return emit(service, std::move(context), std::move(request));
           }}};
}

}  // namespace bulkhead::events
