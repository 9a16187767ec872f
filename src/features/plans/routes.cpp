#include "features/plans/routes.h"

#include "features/access/request_input.h"

namespace bulkhead::plans {
namespace {

json::object usage_json(const Usage& usage) {
  return {{"invocations", usage.invocations},
          {"cpu_ms", usage.cpu_us / 1'000},
          {"egress_mb", usage.egress_bytes / 1'000'000}};
}

class Handlers {
 public:
  explicit Handlers(PlansRoom room) : room_(room) {}

  Task<Result<net::Response>> show(access::RouteContext& context) {
    BH_CO_TRY(const TenantId tenant, co_await room_.tenants.resolve_named(context, context.param("slug")));
    BH_CO_TRY_VOID(room_.authorizer.authorize(context, "organization:read", tenant, access::OtherTenant::kNotFound));
    co_return answer_of(tenant, *room_.plans.plan_of(tenant));
  }

  // What an organization may use is the operator's to say, not its own.
  Task<Result<net::Response>> assign(access::RouteContext& context) {
    BH_CO_TRY_VOID(room_.authorizer.authorize_platform(context, "ops:write"));
    BH_CO_TRY(const TenantId tenant, co_await room_.tenants.resolve_named(context, context.param("slug")));
    BH_CO_TRY(const TenantScope scope, room_.authorizer.authorize(context, "organization:update", tenant));
    BH_CO_TRY(const json::value body, access::json_body(context.request));
    std::vector<FieldError> problems;
    JsonReader reader(body, problems);
    auto plan = reader.required_string("plan");
    reader.refuse_unknown();
    BH_CO_TRY_VOID(access::check_problems(std::move(problems)));
    BH_CO_TRY(const PlanPtr assigned, co_await room_.plans.assign(context.actor(), scope, std::move(*plan)));
    co_return answer_of(tenant, *assigned);
  }

 private:
  net::Response answer_of(const TenantId& tenant, const Plan& plan) const {
    json::object limits;
    for (const PlanField& field : kPlanFields) limits[field.name] = plan.*field.member;
    const UsageNow used = room_.meter.now(tenant, room_.clock.now());
    return net::Response::json(
        200, json::object{{"plan", plan.name},
                          {"limits", std::move(limits)},
                          {"used", {{"minute", usage_json(used.minute)}, {"hour", usage_json(used.hour)}}}});
  }
  PlansRoom room_;
};

using Act = Task<Result<net::Response>> (Handlers::*)(access::RouteContext&);

// Named, so that its parameters live in its own frame.
Task<net::Response> answer(std::shared_ptr<Handlers> handlers, Act act, access::RouteContext& context) {
  auto response = co_await (handlers.get()->*act)(context);
  if (!response) co_return access::problem_response(response.error(), context);
  co_return std::move(*response);
}

}  // namespace

access::Routes plan_routes(PlansRoom room) {
  const auto handlers = std::make_shared<Handlers>(room);
  const auto route = [&](net::Method method, std::string_view permission, std::string_view summary, Act act) {
    access::Route row;
    row.method = method;
    row.pattern = "/api/v1/orgs/:slug/plan";
    row.access = access::Route::Permission{permission};
    row.limit = net::is_safe(method) ? access::LimitClass::kRead : access::LimitClass::kWrite;
    row.summary = summary;
    row.handler = [handlers, act](access::RouteContext& context) { return answer(handlers, act, context); };
    return row;
  };
  return {route(net::Method::kGet, "organization:read", "An organization's plan, its limits and what is used of them.",
                &Handlers::show),
          route(net::Method::kPut, "ops:write", "Gives an organization a plan.", &Handlers::assign)};
}

}  // namespace bulkhead::plans
