#include "features/gateway/gateway_service.h"

#include <algorithm>
#include <charconv>

#include "features/access/request_identity.h"
#include "features/gateway/execution_outcome.h"
#include "features/gateway/header_policy.h"
#include "platform/async/cores.h"

namespace bulkhead::gateway {
namespace {

constexpr int kMaxRetries = 2;
constexpr std::size_t kReadPiece = 64 * 1024;

Error endpoint_not_found() {
  return fail(ErrorCode::kEndpointNotFound, "The extension has no endpoint with this path.").error();
}

net::Response refusal(const Error& error, const access::RouteContext& context) {
  net::Response response = net::problem(error, context.request_id);
  add_protective_headers(response.headers);
  return response;
}

Status body_too_large() { return fail(ErrorCode::kPayloadTooLarge, "The body is larger than 10 MB."); }

// 0 where the client declares none.
std::uint64_t declared_length(const net::Headers& headers) {
  const std::string_view text = headers.find("content-length").value_or("");
  std::uint64_t length = 0;
  std::from_chars(text.data(), text.data() + text.size(), length);
  return length;
}

// RFC 9112 §6.3: without either field a request has no body.
bool has_body(const net::Headers& headers) {
  return headers.find("content-length").has_value() || headers.find("transfer-encoding").has_value();
}

// Only what the transport says may be tried again; a guest's own 5xx is its answer.
bool may_retry(net::Method method, const runners::DispatchFailure& failure) {
  const int status = failure.error.http_status();
  const bool transport = status == 502 || status == 503 || status == 504;
  return transport && (!failure.dispatched || net::is_safe(method));
}

// Whether the guest's code ran at all; the runner refuses these before it does.
bool guest_started(const protocol::ExecuteResponse& answer) {
  if (!answer.error) return true;
  switch (answer.error->code) {
    case ErrorCode::kBundleFetchFailed:
    case ErrorCode::kArchiveHashMismatch:
    case ErrorCode::kRunnerSignatureInvalid:
    case ErrorCode::kModuleInvalid:
    case ErrorCode::kAbiMissingExport:
    case ErrorCode::kConcurrencyExceeded:
    case ErrorCode::kRunnerOverloaded:
    case ErrorCode::kQuarantined:
      return false;
    default:
      return true;
  }
}

}  // namespace

struct GatewayService::CoreState {
  SystemRandom random;
};

GatewayService::GatewayService(Dependencies dependencies, metrics::Registry& registry)
    : dependencies_(std::move(dependencies)),
      calls_(registry.counter("gateway_calls_total", "Calls dispatched to extensions.")),
      retries_(registry.counter("gateway_retries_total", "Dispatches tried again after a transport failure.")),
      duration_(registry.histogram("gateway_call_duration_seconds", "From dispatch to the extension's answer.",
                                   metrics::latency_bounds())) {
  for (std::size_t i = 0; i < dependencies_.dispatchers.size(); ++i) cores_.push_back(std::make_unique<CoreState>());
}

GatewayService::~GatewayService() = default;

// On the usual way nothing has to be waited for until the dispatch, so that a call costs few coroutines.
Task<net::Response> GatewayService::handle(access::RouteContext& context) {
  auto install = find_install_now(context);
  if (!install) install = co_await find_install(context);
  if (!*install) co_return refusal(install->error(), context);
  MethodSet allowed;
  auto call = check(context, std::move(**install), allowed);
  if (!call) {
    net::Response refused = refusal(call.error(), context);
    if (!allowed.empty()) refused.headers.set("allow", allowed.to_string());
    co_return refused;
  }
  if (context.request.method == net::Method::kOptions) {
    net::Response options = net::Response::empty(204);
    add_protective_headers(options.headers);
    options.headers.set("allow", allowed.to_string());
    co_return options;
  }
  Status ready;
  if (has_body(context.request.headers)) ready = co_await read_body(context, *call);
  if (ready) ready = context.admit();
  if (!ready) co_return refusal(ready.error(), context);
  if (net::is_safe(context.request.method)) co_return (co_await run(context, *call)).response;
  co_return co_await call_once(context, *call);
}

std::optional<Result<extensions::InstalledPtr>> GatewayService::find_install_now(const access::RouteContext& context) {
  const auto tenant = access::TenantResolver::try_resolve(context);
  if (!tenant) return std::nullopt;
  if (!*tenant) return fail(tenant->error());
  return dependencies_.installs.find_now(**tenant, context.param("extension"));
}

Task<Result<extensions::InstalledPtr>> GatewayService::find_install(access::RouteContext& context) {
  const auto tenant = co_await dependencies_.tenants.resolve(context);
  if (!tenant) {
    // An organization that does not exist has nothing installed.
    const bool unknown = tenant.error().code == ErrorCode::kNotFound;
    co_return unknown ? fail(ErrorCode::kExtensionNotAvailable) : fail(tenant.error());
  }
  co_return co_await dependencies_.installs.find(*tenant, context.param("extension"));
}

Result<GatewayService::Call> GatewayService::check(access::RouteContext& context, extensions::InstalledPtr install,
                                                   MethodSet& allowed) {
  if (!install) return fail(ErrorCode::kExtensionNotAvailable);
  const extensions::RunnableVersion& version = install->version_for(context.principal->credential_id);
  BH_TRY(EndpointMatch match, match_endpoint(version, context.request.method, context.param("path")));
  allowed = match.allowed;
  if (allowed.empty()) return fail(endpoint_not_found());
  const bool is_options = context.request.method == net::Method::kOptions;
  if (match.endpoint == nullptr && !is_options) {
    return fail(ErrorCode::kMethodNotAllowed, "This endpoint takes " + allowed.to_string() + ".");
  }
  const std::string_view permission = is_options ? "extension:read" : std::string_view(match.endpoint->permission);
  BH_TRY(const TenantScope scope, dependencies_.authorizer.authorize(context, permission, install->tenant_id));
  Call call(scope);
  call.install = std::move(install);
  call.version = &version;
  call.match = std::move(match);
  return call;
}

Task<Status> GatewayService::read_body(access::RouteContext& context, Call& call) {
  if (declared_length(context.request.headers) > kMaxRequestBody.value) co_return body_too_large();
  if (context.request.stream == nullptr) {
    call.body = std::move(context.request.body);
    co_return Status();
  }
  while (true) {
    const std::size_t have = call.body.size();
    call.body.resize(have + kReadPiece);
    const auto got = co_await context.request.stream->read({call.body.data() + have, kReadPiece});
    call.body.resize(have + got.value_or(0));
    if (!got) co_return fail(got.error());
    if (*got == 0) co_return Status();
    if (call.body.size() > kMaxRequestBody.value) {
      co_return body_too_large();
    }
  }
}

Task<net::Response> GatewayService::call_once(access::RouteContext& context, Call& call) {
  BH_ASSERT(call.match.endpoint != nullptr);
  const auto key = guard::idempotency_key(context.request.headers);
  if (!key) co_return refusal(key.error(), context);
  call.idempotency_key = key->value_or("");
  if (call.idempotency_key.empty()) co_return (co_await run(context, call)).response;

  guard::IdempotencyRequest request{
      .scope = call.scope,
      .principal = context.principal->credential_id,
      .endpoint = "ext:" + call.install->install_id.to_string() + ":" + call.match.endpoint->method + " " +
                  call.match.endpoint->path,
      .key = call.idempotency_key,
      .fingerprint = guard::request_fingerprint(context.request.method_text, context.request.target, call.body)};
  auto begun = co_await dependencies_.idempotency.begin(std::move(request));
  if (!begun) co_return refusal(begun.error(), context);
  if (begun->replay) {
    add_protective_headers(begun->replay->headers);
    co_return std::move(*begun->replay);
  }
  Ran ran = co_await run(context, call);
  // A failure here is logged and counted by the service; repetitions are then refused, never run twice.
  switch (ran.fate) {
    case Fate::kRan:
      static_cast<void>(co_await dependencies_.idempotency.complete(begun->ticket, ran.response));
      break;
    case Fate::kNeverStarted:
      static_cast<void>(co_await dependencies_.idempotency.abandon(begun->ticket));
      break;
    case Fate::kUnknown:
      static_cast<void>(co_await dependencies_.idempotency.mark_unknown(begun->ticket));
      break;
  }
  co_return std::move(ran.response);
}

protocol::ExecuteRequest GatewayService::make_request(access::RouteContext& context, const Call& call) const {
  const extensions::InstalledExtension& install = *call.install;
  const extensions::Endpoint& endpoint = *call.match.endpoint;
  protocol::ExecuteRequest request;
  request.context = {.request_id = context.request_id,
                     .tenant_id = install.tenant_id,
                     .extension_id = install.extension_id,
                     .install_id = install.install_id,
                     .content_hash = call.version->content_hash,
                     .version_id = call.version->version_id,
                     .config_json = install.config_json,
                     .user_json = {},
                     .trace_parent = context.trace_parent};
  request.limits = install.limits;
  if (endpoint.timeout) request.limits.timeout = *endpoint.timeout;

  protocol::HttpCall http;
  http.method = context.request.method_text;
  http.path = call.match.path;
  http.handler = endpoint.handler;
  http.params = call.match.params;
  if (auto query = net::parse_query(context.request.query())) {
    for (auto& parameter : *query) http.query.emplace_back(std::move(parameter.name), std::move(parameter.value));
  }
  std::string idempotency_key = call.idempotency_key;
  if (idempotency_key.empty() && !net::is_safe(context.request.method)) idempotency_key = context.request_id;
  http.headers = guest_request_headers(context.request.headers, {.request_id = context.request_id,
                                                                 .tenant_id = install.tenant_id.to_string(),
                                                                 .extension_id = install.extension_id.to_string(),
                                                                 .idempotency_key = std::move(idempotency_key)});
  http.body = call.body;
  request.call = std::move(http);
  return request;
}

Task<std::expected<protocol::ExecuteResponse, runners::DispatchFailure>> GatewayService::dispatch_with_retries(
    access::RouteContext& context, Call& call) {
  runners::Dispatcher& dispatcher = *dependencies_.dispatchers[context.core];
  Random& random = cores_[context.core]->random;
  for (int retry = 0;; ++retry) {
    auto outcome = co_await dispatcher.execute(make_request(context, call), call.install);
    if (outcome || retry == kMaxRetries || !may_retry(context.request.method, outcome.error())) co_return outcome;
    retries_.add();
    // 50–150 ms, then 150–450 ms: about the time a runner takes to come back.
    const std::int64_t base = retry == 0 ? 50 : 150;
    co_await sleep_for(Millis(base + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(2 * base)))));
  }
}

Task<GatewayService::Ran> GatewayService::run(access::RouteContext& context, Call& call) {
  if (!net::parse_query(context.request.query())) {
    co_return Ran{refusal(fail(ErrorCode::kBadRequest, "The query has a malformed escape.").error(), context)};
  }
  executions::CoreLog& log = dependencies_.log.at(context.core);
  const UtcMicros now = dependencies_.clock.now();
  const std::string_view path = std::string_view(context.request.target).substr(0, context.request.target.find('?'));
  executions::Execution execution;
  execution.start = {.id = ExecutionId::v7(now, cores_[context.core]->random),
                     .tenant_id = call.install->tenant_id,
                     .install_id = call.install->install_id,
                     .extension_id = call.install->extension_id,
                     .version_id = call.version->version_id,
                     .kind = executions::ExecutionKind::kHttp,
                     .started_at = now,
                     .request_id = context.request_id,
                     .trace_id = std::string(access::trace_id_of(context.trace_parent)),
                     .method = context.request.method_text,
                     .path = std::string(path.substr(0, 2048))};
  if (auto begun = log.begin(execution.start); !begun) {
    co_return Ran{refusal(begun.error(), context)};
  }
  calls_.add();
  auto outcome = co_await dispatch_with_retries(context, call);
  const UtcMicros ended = dependencies_.clock.now();
  duration_.observe(static_cast<double>((ended - now).count()) / 1e6);

  Ran ran;
  if (outcome) {
    execution.end = execution_end(execution.start.id, *outcome, ended);
    ran.fate = guest_started(*outcome) ? Fate::kRan : Fate::kNeverStarted;
    ran.response = client_response(*outcome, context.request_id);
  } else {
    const Error& failure = outcome.error().error;
    execution.end = execution_end(execution.start.id, failure, ended);
    ran.response = refusal(failure, context);
    ran.fate = outcome.error().dispatched ? Fate::kUnknown : Fate::kNeverStarted;
  }
  log.finish(std::move(execution));
  co_return ran;
}

}  // namespace bulkhead::gateway
