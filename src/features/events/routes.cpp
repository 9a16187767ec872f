#include "features/events/routes.h"

#include <memory>

#include "features/access/request_input.h"

namespace bulkhead::events {
namespace {

using Answer = Task<Result<net::Response>>;

json::value parsed_or_null(const std::string& text) { return parse_json(text).value_or(nullptr); }

json::object subscription_json(const Subscription& subscription) {
  return {{"id", subscription.id.to_string()},
          {"topic", subscription.topic},
          {"handler", subscription.handler},
          {"enabled", subscription.is_enabled},
          {"filter", parsed_or_null(subscription.effective_filter())},
          {"manifest_filter", parsed_or_null(subscription.manifest_filter)},
          {"updated_at", to_rfc3339(subscription.updated_at)}};
}

net::Response subscriptions_answer(const std::vector<Subscription>& subscriptions) {
  json::array items;
  for (const Subscription& subscription : subscriptions) items.push_back(subscription_json(subscription));
  return net::Response::json(200, json::object{{"items", std::move(items)}});
}

json::object letter_json(const DeadLetter& letter) {
  return {{"id", letter.id.to_string()},
          {"subscription_id", letter.subscription_id.to_string()},
          {"topic", letter.event.topic},
          {"handler", letter.handler},
          {"event_id", letter.event.event_id},
          {"source", letter.event.source},
          {"payload", parsed_or_null(letter.event.payload_json)},
          {"attempts", letter.attempts},
          {"error", {{"code", letter.failure.code}, {"message", letter.failure.message}}},
          {"emitted_at", to_rfc3339(letter.event.created_at)},
          {"died_at", to_rfc3339(letter.died_at)}};
}

// {"subscriptions":[{"id","enabled"?,"filter"?}]}; a filter of null goes back to the manifest's.
Result<std::vector<SubscriptionChange>> read_changes(const net::Request& request) {
  BH_TRY(const json::value body, access::json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  std::vector<SubscriptionChange> changes;
  const json::value* list = reader.member("subscriptions");
  if (list == nullptr || !list->is_array()) {
    reader.problem("subscriptions", "must be a list");
  } else {
    for (std::size_t i = 0; i < list->get_array().size(); ++i) {
      JsonReader item(list->get_array()[i], problems, "/subscriptions/" + std::to_string(i));
      SubscriptionChange change;
      const auto id = SubscriptionId::parse(item.required_string("id").value_or(""));
      if (!id) item.problem("id", "must be a subscription's id");
      change.id = id.value_or(SubscriptionId());
      change.is_enabled = item.optional_bool("enabled");
      if (const json::value* filter = item.member("filter")) {
        if (filter->is_null()) {
          change.resets_filter = true;
        } else {
          change.filter = *filter;
        }
      }
      item.refuse_unknown();
      changes.push_back(std::move(change));
    }
  }
  reader.refuse_unknown();
  BH_TRY_VOID(access::check_problems(std::move(problems)));
  return changes;
}

// {"id":"…"} or {"all":true}.
Result<std::optional<DeliveryId>> read_redrive(const net::Request& request) {
  BH_TRY(const json::value body, access::json_body(request));
  std::vector<FieldError> problems;
  JsonReader reader(body, problems);
  const auto text = reader.optional_string("id");
  const bool all = reader.optional_bool("all").value_or(false);
  reader.refuse_unknown();
  const auto id = text ? DeliveryId::parse(*text) : std::nullopt;
  if (text.has_value() == all) reader.problem("id", "must be there, or \"all\": true");
  if (text && !id) reader.problem("id", "must be a dead letter's id");
  BH_TRY_VOID(access::check_problems(std::move(problems)));
  return id;
}

class EventRoutes {
 public:
  explicit EventRoutes(RouteDependencies dependencies) : dependencies_(dependencies) {}

  Answer list(access::RouteContext& context) {
    BH_CO_TRY(const Place place, co_await place_of(context, "extension:read"));
    BH_CO_TRY(const auto found, co_await dependencies_.service.subscriptions(place.scope, place.install));
    co_return subscriptions_answer(found);
  }

  Answer change(access::RouteContext& context) {
    BH_CO_TRY(const Place place, co_await place_of(context, "extension:install"));
    BH_CO_TRY(auto changes, read_changes(context.request));
    BH_CO_TRY(const auto changed,
              co_await dependencies_.service.change(context.actor(), place.scope, place.install, std::move(changes)));
    co_return subscriptions_answer(changed);
  }

  Answer dead_letters(access::RouteContext& context) {
    BH_CO_TRY(const Place place, co_await place_of(context, "extension:read"));
    BH_CO_TRY(const access::Page page, access::page_of(context.request));
    BH_CO_TRY(auto letters,
              co_await dependencies_.service.dead_letters(place.scope, place.install, page.after, page.limit + 1));
    const bool has_more = letters.size() > page.limit;
    if (has_more) letters.resize(page.limit);
    json::array items;
    for (const DeadLetter& letter : letters) items.push_back(letter_json(letter));
    const std::string last = letters.empty() ? "" : letters.back().id.to_string();
    co_return net::Response::json(200, access::page_json(std::move(items), has_more, last));
  }

  Answer redrive(access::RouteContext& context) {
    BH_CO_TRY(const Place place, co_await place_of(context, "extension:install"));
    BH_CO_TRY(const auto id, read_redrive(context.request));
    BH_CO_TRY(const std::int64_t count,
              co_await dependencies_.service.redrive(context.actor(), place.scope, place.install, id));
    co_return net::Response::json(200, json::object{{"redriven", count}});
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

using Act = Answer (EventRoutes::*)(access::RouteContext&);

Task<net::Response> answer(std::shared_ptr<EventRoutes> handlers, Act act, access::RouteContext& context) {
  auto response = co_await (handlers.get()->*act)(context);
  if (!response) co_return access::problem_response(response.error(), context);
  co_return std::move(*response);
}

access::Route route(const std::shared_ptr<EventRoutes>& handlers, net::Method method, std::string_view path,
                    std::string_view permission, std::string_view summary, Act act) {
  access::Route made;
  made.method = method;
  made.pattern = "/api/installs/:id/" + std::string(path);
  made.access = access::Route::Permission{permission};
  made.limit = net::is_safe(method) ? access::LimitClass::kRead : access::LimitClass::kWrite;
  made.summary = summary;
  made.handler = [handlers, act](access::RouteContext& context) { return answer(handlers, act, context); };
  return made;
}

}  // namespace

access::Routes event_routes(RouteDependencies dependencies) {
  using net::Method;
  const auto handlers = std::make_shared<EventRoutes>(dependencies);
  access::Routes routes;
  routes.push_back(
      route(handlers, Method::kGet, "subscriptions", "extension:read", "List event subscriptions", &EventRoutes::list));
  routes.push_back(route(handlers, Method::kPatch, "subscriptions", "extension:install",
                         "Enable, disable or filter event subscriptions", &EventRoutes::change));
  routes.push_back(route(handlers, Method::kGet, "dead-letters", "extension:read", "Events that could not be handled",
                         &EventRoutes::dead_letters));
  routes.push_back(route(handlers, Method::kPost, "dead-letters/redrive", "extension:install",
                         "Deliver dead letters again", &EventRoutes::redrive));
  return routes;
}

}  // namespace bulkhead::events
