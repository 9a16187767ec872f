#include "runner/http_api.h"

#include <unistd.h>

#include <algorithm>

#include "protocol/execute_json.h"
#include "protocol/json_text.h"
#include "runner/runner.h"

namespace bulkhead::runner {
namespace {

constexpr Bytes kBodyLimit = 14'000'000_B;  // a body of 10 MB as base64, and its context
constexpr std::size_t kKnownTokens = 32;
constexpr std::size_t kMaxWarmUps = 256;

// One /v1/execute request while its call runs. Destroying it ends the call.
class WaitingCall final : public CallOrigin {
 public:
  explicit WaitingCall(Executions& executions) : executions_(executions) {}
  ~WaitingCall() {
    if (!response_) executions_.origin_gone(*this);
  }
  WaitingCall(const WaitingCall&) = delete;
  WaitingCall& operator=(const WaitingCall&) = delete;

  void finished(Call&, protocol::ExecuteResponse response) override {
    response_ = std::move(response);
    if (resume_) asio::post(*executor_, std::exchange(resume_, nullptr));
  }

  bool is_done() const { return response_.has_value(); }
  // Most calls are done before anybody has to wait.
  Task<> wait() {
    if (response_) co_return;
    executor_ = co_await asio::this_coro::executor;
    co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void()>(
        [this](auto handler) { resume_ = std::move(handler); }, use_task);
  }
  // The client has left: nobody needs the answer.
  void abandon() {
    if (Call* call = response_ ? nullptr : executions_.find(*this, 0)) {
      executions_.cancel(*call, fail(ErrorCode::kCancelled).error());
    }
  }
  protocol::ExecuteResponse& response() { return *response_; }

 private:
  Executions& executions_;
  std::optional<Executor> executor_;
  std::optional<protocol::ExecuteResponse> response_;
  std::move_only_function<void()> resume_;
};

// The routing headers must agree with the context where they stand (extensions.md §3): a proxy that routed by them and
// a runner that runs by the context must mean the same call.
Status check_routing(const net::Headers& headers, const protocol::ExecuteRequest& request) {
  const auto differs = [&headers](std::string_view name, std::string_view expected) {
    const auto found = headers.find(name);
    return found && *found != expected;
  };
  const auto& context = request.context;
  std::string_view wrong;
  if (differs("x-request-id", context.request_id)) wrong = "x-request-id";
  if (differs("x-alga-tenant", context.tenant_id.to_string())) wrong = "x-alga-tenant";
  if (differs("x-alga-extension", context.extension_id.to_string())) wrong = "x-alga-extension";
  if (const auto* http = std::get_if<protocol::HttpCall>(&request.call)) {
    for (const auto& [name, value] : http->headers) {
      if (name == "x-idempotency-key" && differs(name, value)) wrong = "x-idempotency-key";
    }
  }
  if (wrong.empty()) return {};
  return fail(ErrorCode::kRoutingMismatch, "The header " + std::string(wrong) + " differs from the context.");
}

std::optional<std::string_view> bearer_token(const net::Headers& headers) {
  constexpr std::string_view kScheme = "bearer ";
  const auto value = headers.find("authorization");
  if (!value || value->size() <= kScheme.size() || headers.count("authorization") != 1) return std::nullopt;
  const bool matches = std::ranges::equal(value->substr(0, kScheme.size()), kScheme, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + ('a' - 'A')) : a) == b;
  });
  if (!matches) return std::nullopt;
  return value->substr(kScheme.size());
}

}  // namespace

RunnerHttp::RunnerHttp(Runner& runner, const ServicePublicKey& key, const Clock& clock)
    : runner_(runner), key_(key), clock_(clock) {}

Status RunnerHttp::listen(Cores& cores, int listener, metrics::Registry& registry) {
  net::HttpServerOptions options;
  options.inherited_listener = listener;
  auto server = net::listen_http(cores, *this, options, registry);
  ::close(listener);  // the server has a duplicate
  BH_TRY(server_, std::move(server));
  return {};
}

Task<> RunnerHttp::drain(Millis grace) {
  if (server_) co_await server_->drain(grace);
}

net::BodyPlan RunnerHttp::plan(const net::RequestHead& head) {
  net::BodyPlan plan;
  if (head.path() == "/v1/execute") plan.limit = kBodyLimit;
  return plan;
}

net::Response RunnerHttp::refuse(const Error& error) { return net::problem(error, ""); }

Result<const ServiceClaims*> RunnerHttp::authenticate(const net::RequestHead& head) {
  const auto token = bearer_token(head.headers);
  if (!token) return fail(ErrorCode::kUnauthenticated, "Send a service token: authorization: Bearer <token>.");
  const UtcMicros now = clock_.now();
  for (auto known = known_.begin(); known != known_.end(); ++known) {
    if (!equal_in_constant_time(known->token, *token)) continue;
    if (known->claims.expires_at <= now) {
      known_.erase(known);
      break;
    }
    if (known != known_.begin()) std::rotate(known_.begin(), known, known + 1);
    return &known_.front().claims;
  }
  BH_TRY(auto claims, verify_service_token(*token, "runner", key_, now));
  if (known_.size() == kKnownTokens) known_.pop_back();
  known_.push_front({.token = std::string(*token), .claims = std::move(claims)});
  return &known_.front().claims;
}

Task<net::Response> RunnerHttp::handle(net::Request& request) {
  const std::string_view path = request.path();
  const bool get = request.method == net::Method::kGet;
  const bool post = request.method == net::Method::kPost;
  if (path == "/v1/execute" && post) co_return co_await execute(request);
  if (path == "/warmup" && post) co_return warm_up(request);
  if (path == "/healthz" && get) co_return net::Response::text(200, "application/json", runner_.health_json());
  if (path == "/readyz" && get) {
    const auto ready = runner_.readiness();
    if (!ready) co_return net::problem(ready.error(), "");
    co_return net::Response::text(200, "application/json", R"({"ready":true})");
  }
  if (path == "/metrics" && get) {
    co_return net::Response::text(200, "text/plain; version=0.0.4", runner_.metrics_text());
  }
  const bool known =
      path == "/v1/execute" || path == "/warmup" || path == "/healthz" || path == "/readyz" || path == "/metrics";
  net::Response refusal =
      net::problem(fail(known ? ErrorCode::kMethodNotAllowed : ErrorCode::kRouteNotFound).error(), "");
  if (known) refusal.headers.set("allow", path == "/v1/execute" || path == "/warmup" ? "POST" : "GET");
  co_return refusal;
}

Task<net::Response> RunnerHttp::execute(net::Request& request) {
  const auto claims = authenticate(request);
  if (!claims) co_return net::problem(claims.error(), "");
  auto parsed = protocol::parse_execute_request(request.body);
  if (!parsed) co_return net::problem(parsed.error(), "");
  const std::string request_id = parsed->context.request_id;
  if (!(*claims)->allows(parsed->context.tenant_id)) {
    co_return net::problem(fail(ErrorCode::kTenantMismatch).error(), request_id);
  }
  if (const auto agrees = check_routing(request.headers, *parsed); !agrees) {
    co_return net::problem(agrees.error(), request_id);
  }
  std::string().swap(request.body);
  WaitingCall waiting(runner_.executions());
  runner_.executions().submit(std::make_unique<Call>(0, std::move(*parsed), &waiting, runner_.broker_link()));
  runner_.after_input();
  if (request.client != nullptr && !waiting.is_done()) {
    request.client->when_gone([this, &waiting] {
      waiting.abandon();
      runner_.after_input();
    });
  }
  co_await waiting.wait();
  if (request.client != nullptr) request.client->when_gone(nullptr);
  co_return net::Response::text(200, "application/json", protocol::serialize_execute_response(waiting.response()));
}

net::Response RunnerHttp::warm_up(const net::Request& request) {
  if (const auto claims = authenticate(request); !claims) return net::problem(claims.error(), "");
  const auto body = parse_json(request.body);
  if (!body) return net::problem(body.error(), "");
  std::vector<FieldError> problems;
  JsonReader reader(*body, problems);
  const auto hashes = reader.optional_strings("content_hashes");
  if (hashes.empty() || hashes.size() > kMaxWarmUps) {
    reader.problem("content_hashes", "must be an array of 1 to " + std::to_string(kMaxWarmUps) + " content hashes");
  }
  BrokerLink* link = runner_.broker_link();
  json::array ready;
  json::array requested;
  for (std::size_t i = 0; i < hashes.size() && problems.empty(); ++i) {
    const auto hash = ContentHash::parse(hashes[i]);
    if (!hash) {
      reader.problem("content_hashes/" + std::to_string(i), "must be sha256:<64 hex digits>");
    } else if (runner_.modules().find(*hash)) {
      ready.emplace_back(hash->to_string());
    } else if (link != nullptr) {
      runner_.modules().prefetch(*hash, *link);
      requested.emplace_back(hash->to_string());
    }
  }
  if (!problems.empty()) {
    Error error = fail(ErrorCode::kBadRequest, "The warm-up request is not valid.").error();
    error.fields = std::move(problems);
    return net::problem(error, "");
  }
  if (link == nullptr && ready.size() < hashes.size()) {
    return net::problem(fail(ErrorCode::kRunnerUnavailable, "The runner has no supervisor.").error(), "");
  }
  runner_.after_input();
  return net::Response::json(requested.empty() ? 200 : 202, {{"ready", ready}, {"requested", requested}});
}

}  // namespace bulkhead::runner
