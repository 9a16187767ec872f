#include "features/access/route_service.h"

#include <algorithm>
#include <charconv>

#include "features/access/request_identity.h"
#include "platform/observe/log.h"

namespace bulkhead::access {
namespace {

// Nothing of the body is read: the server drains it up to its own bound, or closes.
constexpr net::BodyPlan kUnread{.mode = net::BodyPlan::Mode::kStreamed, .limit = 1_GiB};

bool presents_credential(const net::Headers& headers) {
  return headers.find("authorization").has_value() || headers.find("x-api-key").has_value();
}

// draft-ietf-httpapi-ratelimit-headers-10 §3, §4.
void add_rate_limit_headers(const Admission& admission, net::Response& response) {
  if (admission.policy.empty()) return;
  std::array<char, 96> text{};
  char* to = std::ranges::copy(admission.name.substr(0, 32), text.data()).out;
  to = std::ranges::copy(std::string_view(";r="), to).out;
  to = std::to_chars(to, text.data() + text.size(), std::max<std::int64_t>(admission.remaining, 0)).ptr;
  to = std::ranges::copy(std::string_view(";t="), to).out;
  to = std::to_chars(to, text.data() + text.size(), std::max<std::int64_t>(admission.reset_seconds, 0)).ptr;
  response.headers.add("ratelimit-policy", admission.policy);
  response.headers.add("ratelimit", {text.data(), static_cast<std::size_t>(to - text.data())});
}

RequestOrigin origin_of(const RouteContext& context) {
  return {.client = context.client,
          .local_socket = context.local_socket,
          .request_id = context.request_id,
          .method = net::to_string(context.request.method),
          .route = context.route,
          .core = context.core};
}

// Our own code returns errors; this is a third-party border that leaks, or a bug. The caller learns nothing of it.
net::Response handler_threw(const RouteContext& context, std::string_view what) {
  log::error("handler_threw", {{"request_id", context.request_id}, {"route", context.route}, {"what", what}});
  return net::problem(fail(ErrorCode::kInternal).error(), context.request_id);
}

Error rate_limited(const Admission& admission) {
  Error error = fail(ErrorCode::kRateLimited).error();
  error.retry_after_ms = admission.retry_after.count();
  return error;
}

}  // namespace

struct RouteService::RouteMetrics {
  RouteMetrics(metrics::Registry& registry, const std::string& route, std::string_view method)
      : latency(&registry.histogram("http_request_duration_seconds", "From the request's head to its answer",
                                    metrics::latency_bounds(), {{"route", route}, {"method", std::string(method)}})) {
    constexpr std::array<const char*, 5> kClasses = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    for (std::size_t i = 0; i < kClasses.size(); ++i) {
      by_class[i] = &registry.counter("http_requests_total", "Answers by route, method and status class",
                                      {{"route", route}, {"method", std::string(method)}, {"status", kClasses[i]}});
    }
  }
  metrics::Counter& of(int status) const {
    return *by_class[static_cast<std::size_t>(std::clamp(status / 100, 1, 5) - 1)];
  }
  metrics::Histogram* latency;
  std::array<metrics::Counter*, 5> by_class{};
};

struct alignas(64) RouteService::PerCore {
  SystemRandom random;
};

RouteService::RouteService(Cores& cores, RouteTable table, Authenticator& authenticator, AdmissionPort* admission,
                           const Clock& clock, metrics::Registry& registry, Options options)
    : table_(std::move(table)),
      authenticator_(authenticator),
      admission_(admission),
      clock_(clock),
      options_(std::move(options)),
      anonymous_(std::make_shared<Principal>()) {
  for (std::size_t i = 0; i < cores.size(); ++i) {
    contexts_.push_back(&cores.at(i).context());
    per_core_.push_back(std::make_unique<PerCore>());
  }
  route_metrics_.reserve(table_.routes().size() + 1);
  for (const Route& route : table_.routes()) {
    route_metrics_.emplace_back(registry, route.pattern, net::to_string(route.method));
  }
  route_metrics_.emplace_back(registry, "none", "any");
}

RouteService::~RouteService() = default;

// A context that is no core's (a test's own) counts as core 0.
std::size_t RouteService::core_of(const Executor& executor) const {
  const asio::execution_context* context = &asio::query(executor, asio::execution::context);
  const auto found = std::ranges::find(contexts_, context);
  return found == contexts_.end() ? 0 : static_cast<std::size_t>(found - contexts_.begin());
}

net::BodyPlan RouteService::plan(const net::RequestHead& head) {
  const RouteTable::Match match = table_.match(head.method, head.path());
  if (match.route == nullptr) return kUnread;
  if (!match.route->is_public() && !presents_credential(head.headers)) return kUnread;
  return match.route->body;
}

Task<net::Response> RouteService::handle(net::Request& request) {
  const SteadyTime began = clock_.steady_now();
  const std::size_t core = core_of(co_await asio::this_coro::executor);
  const RouteTable::Match match = table_.match(request.method, request.path());
  Random& random = per_core_[core]->random;
  RouteContext context{.request = request,
                       .principal = anonymous_,
                       .request_id = choose_request_id(request.headers, clock_.now(), random),
                       .trace_parent = child_trace_parent(request.headers, random),
                       .route = match.route != nullptr ? std::string_view(match.route->pattern) : "none",
                       .params = {},
                       .client = client_address(request, options_.trusted_proxies),
                       .core = core,
                       .local_socket = request.peer_is_local_socket && options_.trusted_proxies.empty(),
                       .limit = match.route != nullptr ? match.route->limit : LimitClass::kRead,
                       .admission_port = admission_,
                       .admission = {}};
  net::Response response;
  if (auto known = answer_without_route(request, match, context)) {
    response = std::move(*known);
  } else {
    const Route& route = *match.route;
    auto params = table_.params(match);
    Status may_go_on;
    if (!params) {
      may_go_on = fail(std::move(params.error()));
    } else {
      context.params = std::move(*params);
      if (!route.is_public()) {
        // Nearly all credentials are known; only the others are worth a coroutine.
        Authenticator::Attempt attempt = authenticator_.attempt(context.request, origin_of(context));
        may_go_on = attempt.outcome ? authenticate(context, std::move(*attempt.outcome))
                                    : co_await look_up(context, std::move(attempt));
      }
      if (may_go_on && route.admit == Admit::kBeforeHandler) may_go_on = context.admit();
    }
    std::string escaped;
    try {
      response = may_go_on ? co_await route.handler(context) : net::problem(may_go_on.error(), context.request_id);
    } catch (const std::exception& problem) {
      escaped = problem.what();
    } catch (...) {
      escaped = "not a std::exception";
    }
    if (!escaped.empty()) response = handler_threw(context, escaped);
  }
  finish(context, match, began, response);
  co_return response;
}

std::optional<net::Response> RouteService::answer_without_route(const net::Request& request,
                                                                const RouteTable::Match& match,
                                                                const RouteContext& context) const {
  if (match.route != nullptr) return std::nullopt;
  if (match.allow.empty()) return net::problem(fail(ErrorCode::kRouteNotFound).error(), context.request_id);
  net::Response response = request.method == net::Method::kOptions
                               ? net::Response::empty(204)
                               : net::problem(fail(ErrorCode::kMethodNotAllowed).error(), context.request_id);
  response.headers.add("allow", match.allow);
  return response;
}

Status RouteService::authenticate(RouteContext& context, Result<PrincipalPtr> known) {
  if (known) {
    context.principal = std::move(*known);
    return {};
  }
  if (admission_ != nullptr && known.error().code == ErrorCode::kInvalidCredential) {
    admission_->note_refused_credential({context.client, context.local_socket});
  }
  return fail(std::move(known.error()));
}

Task<Status> RouteService::look_up(RouteContext& context, Authenticator::Attempt attempt) {
  if (admission_ != nullptr) {
    const Admission tries = admission_->may_try_credential({context.client, context.local_socket});
    if (!tries.allowed) co_return fail(rate_limited(tries));
  }
  co_return authenticate(context, co_await authenticator_.look_up(attempt, origin_of(context)));
}

void RouteService::finish(const RouteContext& context, const RouteTable::Match& match, SteadyTime began,
                          net::Response& response) {
  response.headers.set("x-request-id", context.request_id);
  add_rate_limit_headers(context.admission, response);
  const auto took = std::chrono::duration_cast<Micros>(clock_.steady_now() - began);
  const RouteMetrics& metrics = match.route != nullptr ? route_metrics_[match.index] : route_metrics_.back();
  metrics.of(response.status).add();
  metrics.latency->observe(static_cast<double>(took.count()) * 1e-6);
  // A flood is counted, not written out line by line: it must not become a flood of the log.
  const bool refused = response.status >= 400 && response.status != 429;
  const auto level = refused ? log::Level::kInfo : log::Level::kDebug;
  if (log::enabled(level)) write_access_log(context, level, response.status, took);
}

void RouteService::write_access_log(const RouteContext& context, log::Level level, int status, Micros took) const {
  const std::string client = context.local_socket ? "local" : context.client.to_string();
  log::write(level, "http_request",
             {{"request_id", context.request_id},
              {"trace_id", trace_id_of(context.trace_parent)},
              {"method", net::to_string(context.request.method)},
              {"route", context.route},
              {"status", status},
              {"duration_us", took.count()},
              {"client", client},
              {"credential", context.principal->credential_id}});
}

net::Response RouteService::refuse(const Error& error) {
  // The edge refuses before there is a request to speak of, from whichever core: no per-core state here.
  SystemRandom random;
  const std::string request_id = Uuid::v7(clock_.now(), random).to_string();
  net::Response response = net::problem(error, request_id);
  response.headers.set("x-request-id", request_id);
  route_metrics_.back().of(response.status).add();
  log::info("http_refused", {{"request_id", request_id}, {"code", error.wire_code()}});
  return response;
}

}  // namespace bulkhead::access
