#include "features/schedules/routes.h"

#include <memory>

#include "features/access/request_input.h"

namespace bulkhead::schedules {
namespace {

using Answer = Task<Result<net::Response>>;

json::object firing_json(const Firing& firing) {
  json::object item{{"id", firing.id.to_string()},    {"scheduled_at", to_rfc3339(firing.scheduled_at)},
                    {"kind", to_string(firing.kind)}, {"state", to_string(firing.state)},
                    {"attempts", firing.attempts},    {"started_at", to_rfc3339(firing.started_at)}};
  if (firing.ended_at) item["ended_at"] = to_rfc3339(*firing.ended_at);
  if (firing.execution_id) item["execution_id"] = firing.execution_id->to_string();
  if (!firing.error_code.empty()) {
    item["error"] = json::object{{"code", firing.error_code}, {"message", firing.error_message}};
  }
  return item;
}

json::object schedule_json(const ScheduleDetails& details) {
  const Schedule& schedule = details.schedule;
  json::array firings;
  for (const Firing& firing : details.firings) firings.push_back(firing_json(firing));
  return {{"id", schedule.schedule_id},
          {"origin", to_string(schedule.origin)},
          {"cron", schedule.cron},
          {"timezone", schedule.timezone},
          {"handler", schedule.handler},
          {"enabled", schedule.is_enabled},
          {"missed", to_string(schedule.missed)},
          {"next_at", schedule.is_enabled && schedule.install_enabled ? json::value(to_rfc3339(schedule.next_at))
                                                                      : json::value(nullptr)},
          {"firings", std::move(firings)}};
}

// {"enabled"?,"missed"?}
Result<ScheduleChange> read_change(const net::Request& request) {
  BH_TRY(const json::value body, access::json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  ScheduleChange change;
  change.is_enabled = reader.optional_bool("enabled");
  if (const auto missed = reader.optional_string("missed")) {
    change.missed = parse_missed(*missed);
    if (!change.missed) reader.problem("missed", "must be skip, run_once or all");
  }
  reader.refuse_unknown();
  BH_TRY_VOID(access::check_problems(std::move(problems)));
  return change;
}

class ScheduleRoutes {
 public:
  explicit ScheduleRoutes(RouteDependencies dependencies) : dependencies_(dependencies) {}

  Answer list(access::RouteContext& context) {
    BH_CO_TRY(const Place place, co_await place_of(context, "extension:read"));
    BH_CO_TRY(const auto found, co_await dependencies_.service.list(place.scope, place.install));
    json::array items;
    for (const ScheduleDetails& details : found) items.push_back(schedule_json(details));
    co_return net::Response::json(200, json::object{{"items", std::move(items)}});
  }

  Answer change(access::RouteContext& context) {
    BH_CO_TRY(const Place place, co_await place_of(context, "extension:install"));
    BH_CO_TRY(const ScheduleChange wanted, read_change(context.request));
    BH_CO_TRY(const auto changed, co_await dependencies_.service.change(context.actor(), place.scope, place.install,
                                                                        context.param("sid"), wanted));
    co_return net::Response::json(200, schedule_json(changed));
  }

  Answer run(access::RouteContext& context) {
    BH_CO_TRY(const Place place, co_await place_of(context, "extension:write"));
    BH_CO_TRY(auto begun, co_await dependencies_.service.begin_run(context.actor(), place.scope, place.install,
                                                                   context.param("sid")));
    const Firing firing =
        co_await dependencies_.runner.run(context.core, std::move(begun.schedule), std::move(begun.firing));
    co_return net::Response::json(200, firing_json(firing));
  }

 private:
  struct Place {
    TenantScope scope;
    InstallId install;
  };
  Task<Result<Place>> place_of(access::RouteContext& context, std::string_view permission) {
    BH_CO_TRY(const TenantId tenant, co_await dependencies_.tenants.resolve(context));
    BH_CO_TRY(const TenantScope scope, dependencies_.authorizer.authorize(context, permission, tenant));
    const auto install = InstallId::parse(context.param("id"));
    if (!install) co_return fail(ErrorCode::kNotFound, "There is no such install.");
    co_return Place{scope, *install};
  }
  RouteDependencies dependencies_;
};

using Act = Answer (ScheduleRoutes::*)(access::RouteContext&);

Task<net::Response> answer(std::shared_ptr<ScheduleRoutes> handlers, Act act, access::RouteContext& context) {
  auto response = co_await (handlers.get()->*act)(context);
  if (!response) co_return access::problem_response(response.error(), context);
  co_return std::move(*response);
}

access::Route route(const std::shared_ptr<ScheduleRoutes>& handlers, net::Method method, std::string_view path,
                    std::string_view permission, std::string_view summary, Act act) {
  access::Route made;
  made.method = method;
  made.pattern = "/api/installs/:id/schedules" + std::string(path);
  made.access = access::Route::Permission{permission};
  made.limit = net::is_safe(method) ? access::LimitClass::kRead : access::LimitClass::kWrite;
  made.summary = summary;
  made.handler = [handlers, act](access::RouteContext& context) { return answer(handlers, act, context); };
  return made;
}

}  // namespace

access::Routes schedule_routes(RouteDependencies dependencies) {
  using net::Method;
  const auto handlers = std::make_shared<ScheduleRoutes>(dependencies);
  access::Routes routes;
  routes.push_back(route(handlers, Method::kGet, "", "extension:read", "Schedules of an install and their last firings",
                         &ScheduleRoutes::list));
  routes.push_back(route(handlers, Method::kPatch, "/:sid", "extension:install", "Enable or disable a schedule",
                         &ScheduleRoutes::change));
  routes.push_back(
      route(handlers, Method::kPost, "/:sid/run", "extension:write", "Fire a schedule now", &ScheduleRoutes::run));
  return routes;
}

}  // namespace bulkhead::schedules
