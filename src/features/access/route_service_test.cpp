#include "features/access/route_service.h"

#include <gtest/gtest.h>

#include "features/access/room_testing.h"

namespace bulkhead::access {
namespace {

using net::Method;

Task<net::Response> say_who(RouteContext& context) {
  net::Response response = net::Response::text(200, "text/plain", context.principal->credential_id);
  response.headers.add("x-trace", context.trace_parent);
  co_return response;
}
Task<net::Response> throw_up(RouteContext&) {
  throw std::runtime_error("secret detail");
  co_return net::Response::empty(200);
}
Task<net::Response> take_tokens(RouteContext& context) {
  if (const auto status = context.admit(); !status) co_return net::problem(status.error(), context.request_id);
  co_return net::Response::empty(204);
}

Routes sample_routes() {
  Routes routes;
  const auto add = [&](Method method, std::string pattern, auto access, Task<net::Response> (*handler)(RouteContext&),
                       Admit admit = Admit::kBeforeHandler) {
    routes.push_back({.method = method,
                      .pattern = std::move(pattern),
                      .access = access,
                      .body = {.limit = 2_MiB},
                      .summary = "",
                      .handler = handler,
                      .admit = admit});
  };
  add(Method::kGet, "/healthz", Route::Public{"probes"}, say_who);
  add(Method::kGet, "/who/:name", Route::Permission{"any"}, say_who);
  add(Method::kPost, "/throws", Route::Public{"a test"}, throw_up);
  add(Method::kPost, "/late", Route::Permission{"any"}, take_tokens, Admit::kByHandler);
  return routes;
}

// Refuses as it is told, and remembers what it was asked.
class TestAdmission final : public AdmissionPort {
 public:
  Admission admit(LimitClass, const AdmissionClient&, const Principal& principal) override {
    asked.push_back(principal.credential_id);
    return answer;
  }
  Admission may_try_credential(const AdmissionClient&) override { return try_answer; }
  void note_refused_credential(const AdmissionClient&) override { ++refused; }
  Admission answer{.policy = "\"read\";q=10;w=1", .name = "\"read\"", .remaining = 7, .reset_seconds = 1};
  Admission try_answer;
  std::vector<std::string> asked;
  int refused = 0;
};

class RouteServiceTest : public testing::Test {
 protected:
  std::string code_of(const net::Response& response) {
    return std::string(room_.json_of(response).at("code").as_string());
  }
  TestAdmission admission_;
  TestRoom room_{sql::Engine::kSqlite, &admission_, sample_routes()};
  std::string key_ = room_.key_in(room_.organization("acme").id, "viewer");
};

TEST_F(RouteServiceTest, EveryRouteThatIsNotPublicAnswers401WithoutACredential) {
  std::size_t walked = 0;
  for (const Route& route : room_.service->table().routes()) {
    if (route.is_public()) continue;
    std::string target = route.pattern;
    std::ranges::replace(target, ':', 'x');
    std::ranges::replace(target, '*', 'y');
    const auto response = room_.send(route.method, target);
    EXPECT_EQ(response.status, 401) << route.pattern;
    EXPECT_TRUE(response.headers.find("www-authenticate")) << route.pattern;
    EXPECT_EQ(code_of(response), "unauthenticated") << route.pattern;
    const auto bad = room_.send(route.method, target, "nonsense");
    EXPECT_EQ(bad.status, 401) << route.pattern;
    ++walked;
  }
  EXPECT_GE(walked, 12U);
}

TEST_F(RouteServiceTest, PublicRoutesDoNotLookAtCredentials) {
  EXPECT_EQ(room_.send(Method::kGet, "/healthz").status, 200);
  EXPECT_EQ(room_.send(Method::kGet, "/healthz", "nonsense").status, 200);
}

TEST_F(RouteServiceTest, TheRequestIdIsTheClientsOrANewOneAndComesBack) {
  net::Request request;
  request.method = Method::kGet;
  request.target = "/healthz";
  request.headers.add("x-request-id", "mine-1");
  EXPECT_EQ(room_.send(request).headers.find("x-request-id"), "mine-1");
  const auto fresh = room_.send(Method::kGet, "/healthz");
  EXPECT_TRUE(Uuid::parse(*fresh.headers.find("x-request-id")));
  const auto problem = room_.send(Method::kGet, "/nowhere");
  EXPECT_EQ(room_.json_of(problem).at("request_id").as_string(), *problem.headers.find("x-request-id"));
}

TEST_F(RouteServiceTest, UnknownPathsMethodsAndOptions) {
  const auto unknown = room_.send(Method::kGet, "/nowhere?x=1");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(code_of(unknown), "route_not_found");
  const auto wrong_method = room_.send(Method::kDelete, "/healthz");
  EXPECT_EQ(wrong_method.status, 405);
  EXPECT_EQ(wrong_method.headers.find("allow"), "GET, HEAD, OPTIONS");
  const auto options = room_.send(Method::kOptions, "/who/x");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.headers.find("allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(room_.send(Method::kHead, "/healthz").status, 200);
  EXPECT_EQ(room_.send(Method::kGet, "/who/%zz", key_).status, 400);
}

TEST_F(RouteServiceTest, AnEscapingExceptionIsA500WithoutItsText) {
  const auto response = room_.send(Method::kPost, "/throws");
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(code_of(response), "internal");
  EXPECT_EQ(response.body.find("secret detail"), std::string::npos);
}

TEST_F(RouteServiceTest, TheTraceIsContinued) {
  net::Request request;
  request.method = Method::kGet;
  request.target = "/healthz";
  request.headers.add("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  const auto response = room_.send(request);
  const std::string trace(*response.headers.find("x-trace"));
  EXPECT_TRUE(trace.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
  EXPECT_EQ(trace.find("00f067aa0ba902b7"), std::string::npos);
}

TEST_F(RouteServiceTest, AllowedRequestsCarryRateLimitHeaders) {
  const auto response = room_.send(Method::kGet, "/who/x", key_);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.find("ratelimit-policy"), "\"read\";q=10;w=1");
  EXPECT_EQ(response.headers.find("ratelimit"), "\"read\";r=7;t=1");
  EXPECT_TRUE(admission_.asked.at(0).starts_with("key:"));
}

TEST_F(RouteServiceTest, ARefusedRequestIs429WithRetryAfter) {
  admission_.answer.allowed = false;
  admission_.answer.retry_after = Millis(1'500);
  const auto response = room_.send(Method::kGet, "/who/x", key_);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(code_of(response), "rate_limited");
  EXPECT_EQ(response.headers.find("retry-after"), "2");
  EXPECT_EQ(room_.send(Method::kGet, "/who/x").status, 401) << "no identity comes before the rate";
  EXPECT_EQ(room_.send(Method::kPost, "/late", key_).status, 429) << "asked by the handler itself";
}

TEST_F(RouteServiceTest, TooManyRefusedCredentialsEndLookUpsButNotCachedKeys) {
  EXPECT_EQ(room_.send(Method::kGet, "/who/x", key_).status, 200);
  EXPECT_EQ(room_.send(Method::kGet, "/who/x", "nonsense").status, 401);
  EXPECT_EQ(admission_.refused, 1);
  admission_.try_answer.allowed = false;
  admission_.try_answer.retry_after = Millis(1'000);
  const std::string other = room_.key_in(room_.organization("other").id, "viewer");
  EXPECT_EQ(room_.send(Method::kGet, "/who/x", other).status, 429);
  EXPECT_EQ(room_.send(Method::kGet, "/who/x", key_).status, 200);
}

TEST_F(RouteServiceTest, PlansTheBodyOfTheRouteOnlyForWhoPresentsACredential) {
  net::RequestHead head;
  head.method = Method::kPost;
  head.target = "/late";
  EXPECT_EQ(room_.service->plan(head).mode, net::BodyPlan::Mode::kStreamed);
  head.headers.add("x-api-key", "anything");
  EXPECT_EQ(room_.service->plan(head).mode, net::BodyPlan::Mode::kBuffered);
  EXPECT_EQ(room_.service->plan(head).limit, 2_MiB);
  head.target = "/nowhere";
  EXPECT_EQ(room_.service->plan(head).mode, net::BodyPlan::Mode::kStreamed);
}

TEST_F(RouteServiceTest, RequestsAreCountedByRoute) {
  room_.send(Method::kGet, "/who/1", key_);
  room_.send(Method::kGet, "/who/2", key_);
  room_.send(Method::kGet, "/who/3");
  room_.send(Method::kGet, "/nowhere");
  const auto count = [&](const char* route, const char* method, const char* status) {
    return room_.registry.counter("http_requests_total", "", {{"route", route}, {"method", method}, {"status", status}})
        .value();
  };
  EXPECT_EQ(count("/who/:name", "GET", "2xx"), 2U);
  EXPECT_EQ(count("/who/:name", "GET", "4xx"), 1U);
  EXPECT_EQ(count("none", "any", "4xx"), 1U);
}

TEST_F(RouteServiceTest, TheEdgesOwnRefusalsAreProblemsWithARequestId) {
  const auto response = room_.service->refuse(fail(ErrorCode::kUriTooLong).error());
  EXPECT_EQ(response.status, 414);
  EXPECT_TRUE(Uuid::parse(*response.headers.find("x-request-id")));
}

}  // namespace
}  // namespace bulkhead::access
