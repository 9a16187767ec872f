#include "features/gateway/gateway_service.h"

#include <algorithm>
#include <charconv>

#include "features/gateway/client_response.h"
#include "features/gateway/header_policy.h"

namespace bulkhead::gateway {
namespace {

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

}  // namespace

GatewayService::GatewayService(Dependencies dependencies, metrics::Registry& registry)
    : dependencies_(std::move(dependencies)),
      calls_(registry.counter("gateway_calls_total", "Calls that passed the checks.")),
      duration_(registry.histogram("gateway_call_duration_seconds", "From dispatch to the extension's answer.",
                                   metrics::latency_bounds())) {}

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
  BodyBudget::Share share(bodies_, call->install->tenant_id);
  if (has_body(context.request.headers)) ready = co_await read_body(context, *call, share);
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

Task<Status> GatewayService::read_body(access::RouteContext& context, Call& call, BodyBudget::Share& share) {
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
    BH_CO_TRY_VOID(share.take(*got));
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
    case invocations::Fate::kRan:
      static_cast<void>(co_await dependencies_.idempotency.complete(begun->ticket, ran.response));
      break;
    case invocations::Fate::kNeverStarted:
      static_cast<void>(co_await dependencies_.idempotency.abandon(begun->ticket));
      break;
    case invocations::Fate::kUnknown:
      static_cast<void>(co_await dependencies_.idempotency.mark_unknown(begun->ticket));
      break;
  }
  co_return std::move(ran.response);
}

Result<invocations::Invocation> GatewayService::make_invocation(access::RouteContext& context, Call& call) {
  const extensions::InstalledExtension& install = *call.install;
  const extensions::Endpoint& endpoint = *call.match.endpoint;
  const bool safe = net::is_safe(context.request.method);
  invocations::Invocation invocation;
  invocation.install = call.install;
  invocation.version = call.version;
  invocation.retry = safe ? invocations::Retry::kAlways : invocations::Retry::kIfNotStarted;
  invocation.request_id = context.request_id;
  invocation.trace_parent = context.trace_parent;
  invocation.method = context.request.method_text;
  invocation.path = std::string_view(context.request.target).substr(0, context.request.target.find('?'));
  invocation.timeout = endpoint.timeout;

  auto& http = invocation.call.emplace<protocol::HttpCall>();
  auto query = net::parse_query(context.request.query());
  if (!query) return fail(ErrorCode::kBadRequest, "The query has a malformed escape.");
  for (auto& parameter : *query) http.query.emplace_back(std::move(parameter.name), std::move(parameter.value));
  http.method = context.request.method_text;
  http.path = call.match.path;
  http.handler = endpoint.handler;
  http.params = call.match.params;
  std::string idempotency_key = call.idempotency_key;
  if (idempotency_key.empty() && !safe) idempotency_key = context.request_id;
  http.headers = guest_request_headers(context.request.headers, {.request_id = context.request_id,
                                                                 .tenant_id = install.tenant_id.to_string(),
                                                                 .extension_id = install.extension_id.to_string(),
                                                                 .idempotency_key = std::move(idempotency_key)});
  http.body = std::move(call.body);
  return invocation;
}

Task<GatewayService::Ran> GatewayService::run(access::RouteContext& context, Call& call) {
  auto invocation = make_invocation(context, call);
  if (!invocation) co_return Ran{refusal(invocation.error(), context)};
  calls_.add();
  // Nobody needs the answer of a caller who has left, unless the caller can come back for it with the idempotency key.
  runners::EarlyEnd early_end;
  net::ClientLink* client = call.idempotency_key.empty() ? context.request.client : nullptr;
  if (client != nullptr) {
    invocation->early_end = &early_end;
    client->when_gone([&early_end] { early_end.request(); });
  }
  auto outcome = co_await dependencies_.invoker.run(context.core, std::move(*invocation));
  if (client != nullptr) client->when_gone(nullptr);
  if (!outcome) co_return Ran{refusal(outcome.error(), context)};
  duration_.observe(static_cast<double>((outcome->ended_at - outcome->started_at).count()) / 1e6);
  Ran ran{.response = {}, .fate = outcome->fate};
  auto& answer = outcome->answer;
  ran.response = answer ? client_response(*answer, context.request_id) : refusal(answer.error().error, context);
  co_return ran;
}

}  // namespace bulkhead::gateway
