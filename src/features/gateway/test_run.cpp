#include "features/gateway/test_run.h"

#include "features/gateway/endpoint_router.h"
#include "features/gateway/header_policy.h"
#include "features/invocations/execution_end.h"

namespace bulkhead::gateway {
namespace {

constexpr Bytes kMaxTestBody = 1_MiB;

struct TestCall {
  net::Method method = net::Method::kGet;
  std::string path;
  protocol::StringPairs query;
  net::Headers headers;
  std::string body;
};

Result<TestCall> parse_call(std::string_view text) {
  BH_TRY(const json::value document, parse_json(text.empty() ? std::string_view("{}") : text));
  std::vector<FieldError> problems;
  JsonReader reader(document, problems);
  TestCall call;
  call.method = net::parse_method(reader.optional_string("method").value_or("GET"));
  if (call.method == net::Method::kOther || call.method == net::Method::kOptions) {
    reader.problem("method", "must be GET, HEAD, POST, PUT, PATCH or DELETE");
  }
  call.path = reader.required_string("path").value_or("/");
  if (const std::size_t mark = call.path.find('?'); mark != std::string::npos) {
    const auto query = net::parse_query(std::string_view(call.path).substr(mark + 1));
    if (!query) reader.problem("path", "has a malformed query");
    for (const auto& parameter : query.value_or(std::vector<net::QueryParameter>())) {
      call.query.emplace_back(parameter.name, parameter.value);
    }
    call.path.resize(mark);
  }
  for (const std::string_view member : {"query", "headers"}) {
    const json::value* found = reader.member(member);
    if (found == nullptr) continue;
    if (!found->is_object()) {
      reader.problem(member, "must be an object of texts");
      continue;
    }
    JsonReader inner(*found, problems, "/" + std::string(member));
    for (const auto& entry : found->get_object()) {
      const auto value = inner.optional_string(entry.key());
      if (!value) continue;
      if (member == "query") call.query.emplace_back(entry.key(), *value);
      if (member == "headers") call.headers.add(entry.key(), *value);
    }
  }
  call.body = reader.optional_string("body").value_or("");
  if (const auto encoded = reader.optional_string("body_b64")) {
    auto decoded = base64_decode(*encoded);
    if (!decoded) reader.problem("body_b64", "is not base64");
    call.body = std::move(decoded).value_or("");
  }
  reader.refuse_unknown();
  if (problems.empty()) return call;
  Error error = fail(ErrorCode::kUnprocessable, "The test call is not valid.").error();
  error.fields = std::move(problems);
  return fail(std::move(error));
}

json::object answer_json(const protocol::ExecuteResponse& answer) {
  json::object headers;
  for (const auto& [name, value] : answer.headers) headers[name] = value;
  json::object out{{"status", answer.error ? answer.error->http_status() : answer.status},
                   {"headers", std::move(headers)},
                   {"body_b64", base64_encode(answer.body)},
                   {"usage",
                    {{"cpu_us", answer.usage.cpu_us},
                     {"wall_us", answer.usage.wall_us},
                     {"memory_bytes", answer.usage.memory_bytes},
                     {"egress_bytes", answer.usage.egress_bytes},
                     {"host_calls", answer.usage.host_calls}}}};
  if (answer.error) out["error"] = {{"code", answer.error->wire_code()}, {"message", answer.error->message}};
  const std::string logs = invocations::logs_json(answer.logs, answer.logs_truncated);
  auto lines = logs.empty() ? Result<json::value>(json::array()) : parse_json(logs);
  out["logs"] = lines ? std::move(*lines) : json::value(json::array());
  return out;
}

json::object failure_json(const Error& failure) {
  const std::string message = failure.message.empty() ? std::string(error_info(failure.code).title) : failure.message;
  return {{"status", failure.http_status()}, {"error", {{"code", failure.wire_code()}, {"message", message}}}};
}

}  // namespace

Task<Result<extensions::InstalledPtr>> TestRunService::find(access::RouteContext& context) {
  BH_CO_TRY(const TenantId tenant, co_await dependencies_.tenants.resolve(context));
  BH_CO_TRY_VOID(dependencies_.authorizer.authorize(context, "extension:write", tenant));
  const auto id = InstallId::parse(context.param("id"));
  if (!id) co_return fail(ErrorCode::kNotFound, "There is no such install.");
  BH_CO_TRY(auto install, co_await dependencies_.installs.find_install(*id));
  if (!install || install->tenant_id != tenant) {
    co_return fail(ErrorCode::kNotFound, "There is no such install, or it is disabled.");
  }
  co_return install;
}

Task<Result<json::object>> TestRunService::run(access::RouteContext& context) {
  BH_CO_TRY(const auto install, co_await find(context));
  BH_CO_TRY(TestCall call, parse_call(context.request.body));
  const auto version = install->current;
  BH_CO_TRY(EndpointMatch match, match_endpoint(*version, call.method, call.path));
  if (match.endpoint == nullptr) co_return fail(ErrorCode::kEndpointNotFound);

  invocations::Invocation invocation;
  invocation.install = install;
  invocation.version = version.get();
  invocation.kind = executions::ExecutionKind::kTest;
  invocation.retry = invocations::Retry::kNever;
  invocation.request_id = context.request_id;
  invocation.trace_parent = context.trace_parent;
  invocation.method = net::to_string(call.method);
  invocation.path = call.path;
  invocation.timeout = match.endpoint->timeout;
  auto& http = invocation.call.emplace<protocol::HttpCall>();
  http.method = net::to_string(call.method);
  http.path = std::move(match.path);
  http.handler = match.endpoint->handler;
  http.params = std::move(match.params);
  http.query = std::move(call.query);
  http.headers = guest_request_headers(call.headers, {.request_id = context.request_id,
                                                      .tenant_id = install->tenant_id.to_string(),
                                                      .extension_id = install->extension_id.to_string(),
                                                      .idempotency_key = context.request_id});
  http.body = std::move(call.body);

  BH_CO_TRY(const auto outcome, co_await dependencies_.invoker.run(context.core, std::move(invocation)));
  json::object answer = outcome.answer ? answer_json(*outcome.answer) : failure_json(outcome.answer.error().error);
  answer["execution_id"] = outcome.id.to_string();
  co_return answer;
}

Task<net::Response> TestRunService::handle(access::RouteContext& context) {
  const auto answer = co_await run(context);
  if (!answer) co_return net::problem(answer.error(), context.request_id);
  co_return net::Response::json(200, *answer);
}

access::Routes test_run_routes(TestRunService& service) {
  access::Route route;
  route.method = net::Method::kPost;
  route.pattern = "/api/installs/:id/test-run";
  route.access = access::Route::Permission{"extension:write"};
  route.limit = access::LimitClass::kExecute;
  route.body.limit = kMaxTestBody;
  route.summary = "Call an install once and see everything about it.";
  route.handler = [&service](access::RouteContext& context) { return service.handle(context); };
  return {std::move(route)};
}

}  // namespace bulkhead::gateway
