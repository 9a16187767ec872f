#include "features/executions/routes.h"

#include <algorithm>
#include <charconv>

#include "features/executions/execution_store.h"
#include "features/executions/log_tail.h"

namespace bulkhead::executions {
namespace {

constexpr int kMaxLimit = 500;
// Calls are recorded in batches, a tenth of a second behind.
constexpr Millis kPatience{500};

// What every one of these routes needs: the tenant's scope and the install's id.
struct Asked {
  TenantScope scope;
  InstallId install;
  std::vector<net::QueryParameter> query;
};

class ExecutionRoutes {
 public:
  explicit ExecutionRoutes(RouteDependencies dependencies) : dependencies_(dependencies) {}

  Task<net::Response> executions(access::RouteContext& context);
  Task<net::Response> logs(access::RouteContext& context);
  Task<net::Response> usage(access::RouteContext& context);
  Task<net::Response> metrics(access::RouteContext& context);

 private:
  Task<Result<Asked>> parse(access::RouteContext& context);
  Task<Result<std::vector<Execution>>> list(Asked asked, ExecutionFilter filter);
  RouteDependencies dependencies_;
};

std::string cursor_of(const Execution& execution) {
  return base64url_encode(std::to_string(execution.end.ended_at.value) + ":" + execution.start.id.to_string());
}

Status read_cursor(const std::string& text, ExecutionFilter& filter) {
  const auto decoded = base64url_decode(text);
  const std::size_t colon = decoded ? decoded->find(':') : std::string::npos;
  const auto id = colon == std::string::npos ? std::nullopt : ExecutionId::parse(decoded->substr(colon + 1));
  std::int64_t time = 0;
  const bool number = id && std::from_chars(decoded->data(), decoded->data() + colon, time).ec == std::errc{};
  if (!number) return fail(ErrorCode::kBadRequest, "cursor is not one that this route returned.");
  filter.ended_before = UtcMicros{time};
  filter.before_id = *id;
  return {};
}

Result<ExecutionFilter> read_filter(const std::vector<net::QueryParameter>& query) {
  ExecutionFilter filter;
  if (const auto limit = net::query_value(query, "limit")) {
    const auto [end, failure] = std::from_chars(limit->data(), limit->data() + limit->size(), filter.limit);
    if (failure != std::errc{} || end != limit->data() + limit->size() || filter.limit < 1 ||
        filter.limit > kMaxLimit) {
      return fail(ErrorCode::kBadRequest, "limit must be from 1 to 500.");
    }
  }
  if (const auto cursor = net::query_value(query, "cursor")) BH_TRY_VOID(read_cursor(*cursor, filter));
  filter.request_id = net::query_value(query, "request_id");
  if (const auto since = net::query_value(query, "since")) {
    filter.ended_since = parse_rfc3339(*since);
    if (!filter.ended_since) return fail(ErrorCode::kBadRequest, "since must be a time like 2026-01-31T12:00:00Z.");
  }
  if (const auto status = net::query_value(query, "status")) {
    for (int i = 0; i <= static_cast<int>(ExecutionStatus::kUpstreamError); ++i) {
      if (to_string(static_cast<ExecutionStatus>(i)) == *status) filter.status = static_cast<ExecutionStatus>(i);
    }
    if (!filter.status) {
      return fail(ErrorCode::kBadRequest, "status must be ok, error, timeout, oom, policy_denied or upstream_error.");
    }
  }
  return filter;
}

Task<Result<Asked>> ExecutionRoutes::parse(access::RouteContext& context) {
  BH_CO_TRY(const TenantId tenant, co_await dependencies_.tenants.resolve(context));
  BH_CO_TRY(const TenantScope scope, dependencies_.authorizer.authorize(context, "execution:read", tenant));
  const auto install = InstallId::parse(context.param("id"));
  if (!install) co_return fail(ErrorCode::kNotFound, "There is no such install.");
  auto query = net::parse_query(context.request.query());
  if (!query) co_return fail(ErrorCode::kBadRequest, "The query has a malformed escape.");
  co_await dependencies_.log.catch_up(kPatience);
  co_return Asked{scope, *install, std::move(*query)};
}

Task<Result<std::vector<Execution>>> ExecutionRoutes::list(Asked asked, ExecutionFilter filter) {
  co_return co_await dependencies_.database.read(asked.scope, [install = asked.install, filter](sql::TenantTx& tx) {
    return list_executions(tx, install, filter);
  });
}

Task<net::Response> ExecutionRoutes::executions(access::RouteContext& context) {
  auto asked = co_await parse(context);
  if (!asked) co_return net::problem(asked.error(), context.request_id);
  const auto filter = read_filter(asked->query);
  if (!filter) co_return net::problem(filter.error(), context.request_id);
  const auto page = co_await list(*asked, *filter);
  if (!page) co_return net::problem(page.error(), context.request_id);
  json::array items;
  for (const Execution& execution : *page) items.push_back(execution_json(execution));
  json::object body{{"items", std::move(items)}};
  if (page->size() == static_cast<std::size_t>(filter->limit)) body["next_cursor"] = cursor_of(page->back());
  co_return net::Response::json(200, body);
}

Task<net::Response> ExecutionRoutes::logs(access::RouteContext& context) {
  auto asked = co_await parse(context);
  if (!asked) co_return net::problem(asked.error(), context.request_id);
  const auto accept = context.request.headers.find("accept");
  const bool follow = (accept && accept->find("text/event-stream") != std::string_view::npos) ||
                      net::query_value(asked->query, "follow").value_or("") == "true";
  if (follow) {
    net::Response response;
    response.headers.set("content-type", "text/event-stream");
    response.headers.set("cache-control", "no-store");
    response.stream = [this, scope = asked->scope, install = asked->install](net::ResponseWriter& writer) {
      return tail_log(dependencies_.database, dependencies_.clock, scope, install, dependencies_.stopping, writer);
    };
    co_return response;
  }
  const auto filter = read_filter(asked->query);
  if (!filter) co_return net::problem(filter.error(), context.request_id);
  const auto page = co_await list(*asked, *filter);
  if (!page) co_return net::problem(page.error(), context.request_id);
  json::array lines;
  for (auto execution = page->rbegin(); execution != page->rend(); ++execution) {
    const json::object whole = execution_json(*execution);
    for (const json::value& line : whole.at("logs").as_array()) {
      json::object entry = line.as_object();
      entry["execution_id"] = whole.at("execution_id");
      entry["request_id"] = whole.at("request_id");
      lines.push_back(std::move(entry));
    }
  }
  json::object body{{"items", std::move(lines)}};
  if (page->size() == static_cast<std::size_t>(filter->limit)) body["next_cursor"] = cursor_of(page->back());
  co_return net::Response::json(200, body);
}

Task<net::Response> ExecutionRoutes::usage(access::RouteContext& context) {
  auto asked = co_await parse(context);
  if (!asked) co_return net::problem(asked.error(), context.request_id);
  const UtcMicros since = dependencies_.clock.now() - Micros(std::chrono::hours(24 * 31));
  const auto windows = co_await dependencies_.database.read(
      asked->scope,
      [install = asked->install, since](sql::TenantTx& tx) { return list_usage(tx, install, since, 744); });
  if (!windows) co_return net::problem(windows.error(), context.request_id);
  json::array items;
  for (const UsageWindow& window : *windows) {
    items.push_back({{"window_start", to_rfc3339(window.start)},
                     {"window_seconds", 3600},
                     {"invocations", window.invocations},
                     {"errors", window.errors},
                     {"cpu_ms", window.cpu_ms},
                     {"mem_mb_ms", window.mem_mb_ms},
                     {"egress_bytes", window.egress_bytes}});
  }
  co_return net::Response::json(200, json::object{{"items", std::move(items)}});
}

Task<net::Response> ExecutionRoutes::metrics(access::RouteContext& context) {
  auto asked = co_await parse(context);
  if (!asked) co_return net::problem(asked.error(), context.request_id);
  ExecutionFilter filter;
  filter.ended_since = dependencies_.clock.now() - Micros(std::chrono::minutes(15));
  filter.limit = 1000;
  const auto recent = co_await list(*asked, filter);
  if (!recent) co_return net::problem(recent.error(), context.request_id);
  json::object by_status;
  std::vector<std::int64_t> durations;
  for (const Execution& execution : *recent) {
    json::value& count = by_status[to_string(execution.end.status)];
    count = count.is_null() ? 1 : count.as_int64() + 1;
    durations.push_back((execution.end.ended_at - execution.start.started_at).count());
  }
  std::ranges::sort(durations);
  const auto quantile = [&](double q) -> json::value {
    if (durations.empty()) return nullptr;
    return durations[static_cast<std::size_t>(q * static_cast<double>(durations.size() - 1))];
  };
  co_return net::Response::json(
      200, json::object{{"since", to_rfc3339(*filter.ended_since)},
                        {"executions", recent->size()},
                        {"newest_only", recent->size() == static_cast<std::size_t>(filter.limit)},
                        {"by_status", std::move(by_status)},
                        {"duration_us", {{"p50", quantile(0.5)}, {"p95", quantile(0.95)}, {"p99", quantile(0.99)}}}});
}

}  // namespace

access::Routes execution_routes(RouteDependencies dependencies) {
  auto room = std::make_shared<ExecutionRoutes>(dependencies);
  const auto route = [&](std::string pattern, std::string_view summary,
                         Task<net::Response> (ExecutionRoutes::*handler)(access::RouteContext&)) {
    access::Route row;
    row.method = net::Method::kGet;
    row.pattern = std::move(pattern);
    row.access = access::Route::Permission{"execution:read"};
    row.summary = summary;
    row.handler = [room, handler](access::RouteContext& context) { return ((*room).*handler)(context); };
    return row;
  };
  return {
      route("/api/installs/:id/executions", "Executions of an install, newest first.", &ExecutionRoutes::executions),
      route("/api/installs/:id/logs", "Log lines of an install; with Accept: text/event-stream a live tail.",
            &ExecutionRoutes::logs),
      route("/api/installs/:id/usage", "Usage of an install per hour.", &ExecutionRoutes::usage),
      route("/api/installs/:id/metrics", "Counts and durations of the last 15 minutes.", &ExecutionRoutes::metrics)};
}

}  // namespace bulkhead::executions
