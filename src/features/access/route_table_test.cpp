#include "features/access/route_table.h"

#include <gtest/gtest.h>

namespace bulkhead::access {
namespace {

using net::Method;

Task<net::Response> nothing(RouteContext&) { co_return net::Response::empty(204); }

Route route(Method method, std::string pattern) {
  return {.method = method, .pattern = std::move(pattern), .body = {}, .summary = "", .handler = nothing};
}

RouteTable sample() {
  Routes routes;
  routes.push_back(route(Method::kGet, "/"));
  routes.push_back(route(Method::kGet, "/api/installs"));
  routes.push_back(route(Method::kPost, "/api/installs"));
  routes.push_back(route(Method::kGet, "/api/installs/lookup-by-host"));
  routes.push_back(route(Method::kGet, "/api/installs/:id"));
  routes.push_back(route(Method::kDelete, "/api/installs/:install"));
  routes.push_back(route(Method::kPost, "/api/installs/:id/enable"));
  routes.push_back(route(Method::kPost, "/api/ext/:extension/*path"));
  routes.push_back(route(Method::kGet, "/api/ext/:extension/*path"));
  routes.push_back(route(Method::kGet, "/a/b/c"));
  routes.push_back(route(Method::kGet, "/a/:x/d"));
  routes.push_back(route(Method::kGet, "/a/*rest"));
  auto table = RouteTable::build(std::move(routes));
  EXPECT_TRUE(table) << table.error().to_log_string();
  return std::move(*table);
}

std::string describe(const RouteTable& table, Method method, std::string_view path) {
  const auto match = table.match(method, path);
  if (match.route == nullptr) return match.allow.empty() ? "404" : "405 " + std::string(match.allow);
  std::string text = match.route->pattern;
  const auto params = table.params(match);
  if (!params) return "400";
  for (const auto& [name, value] : *params) text += " " + name + "=" + value;
  return text;
}

TEST(RouteTable, MatchTable) {
  const RouteTable table = sample();
  struct Case {
    Method method;
    const char* path;
    const char* expected;
  };
  const Case cases[] = {
      {Method::kGet, "/", "/"},
      {Method::kGet, "/api/installs", "/api/installs"},
      {Method::kHead, "/api/installs", "/api/installs"},
      {Method::kGet, "/api/installs/", "404"},
      {Method::kGet, "/api/installs/lookup-by-host", "/api/installs/lookup-by-host"},
      {Method::kGet, "/api/installs/17", "/api/installs/:id id=17"},
      {Method::kDelete, "/api/installs/17", "/api/installs/:install install=17"},
      {Method::kGet, "/api/installs/a%20b", "/api/installs/:id id=a b"},
      {Method::kGet, "/api/installs/a%2Fb", "/api/installs/:id id=a/b"},
      {Method::kGet, "/api/installs/a%zz", "400"},
      {Method::kGet, "/api/installs/a%00", "400"},
      {Method::kPost, "/api/installs/17/enable", "/api/installs/:id/enable id=17"},
      {Method::kPost, "/api/installs//enable", "404"},
      {Method::kGet, "/api/installs/17/nothing", "404"},
      {Method::kPut, "/api/installs", "405 GET, HEAD, POST, OPTIONS"},
      {Method::kOptions, "/api/installs/17", "405 GET, HEAD, DELETE, OPTIONS"},
      {Method::kOther, "/api/installs/17", "405 GET, HEAD, DELETE, OPTIONS"},
      {Method::kHead, "/api/installs/17/enable", "405 POST, OPTIONS"},
      {Method::kPost, "/api/installs/lookup-by-host", "405 GET, HEAD, OPTIONS"},
      {Method::kGet, "/api/ext/com.example/orders/1", "/api/ext/:extension/*path extension=com.example path=orders/1"},
      {Method::kGet, "/api/ext/com.example/", "/api/ext/:extension/*path extension=com.example path="},
      {Method::kGet, "/api/ext/com.example", "/api/ext/:extension/*path extension=com.example path="},
      {Method::kGet, "/api/ext/com.example/a%2Fb//c", "/api/ext/:extension/*path extension=com.example path=a%2Fb//c"},
      {Method::kGet, "/api/ext//x", "404"},
      {Method::kGet, "/api/ext", "404"},
      {Method::kGet, "/a/b/c", "/a/b/c"},
      {Method::kGet, "/a/b/d", "/a/:x/d x=b"},
      {Method::kGet, "/a/b/e", "/a/*rest rest=b/e"},
      {Method::kGet, "/a", "/a/*rest rest="},
      {Method::kGet, "/A/b/c", "404"},
      {Method::kGet, "", "404"},
      {Method::kOptions, "*", "404"},
      {Method::kGet, "//", "404"},
      {Method::kGet, "//api/installs", "404"},
  };
  for (const Case& c : cases) EXPECT_EQ(describe(table, c.method, c.path), c.expected) << c.path;
}

TEST(RouteTable, RefusesAtStartWhatIsAmbiguousOrMalformed) {
  const std::vector<std::vector<std::string>> bad = {
      {"/a", "/a"},
      {"/a/:x", "/a/:y"},
      {"/a/*x", "/a/*y"},
      {"/a/:x/b", "/a/:y/b"},
      {"a"},
      {""},
      {"/a//b"},
      {"/a/"},
      {"/:"},
      {"/*"},
      {"/:Name"},
      {"/:x/:x"},
      {"/*x/y"},
      {"/:a/:b/:c/:d/:e/:f/:g/:h/:i"},
  };
  for (const auto& patterns : bad) {
    Routes routes;
    for (const auto& pattern : patterns) routes.push_back(route(Method::kGet, pattern));
    const auto table = RouteTable::build(std::move(routes));
    EXPECT_FALSE(table) << patterns.front();
  }
}

TEST(RouteTable, RefusesRoutesThatSayTooLittle) {
  Route no_handler = route(Method::kGet, "/a");
  no_handler.handler = nullptr;
  Route no_reason = route(Method::kGet, "/a");
  no_reason.access = Route::Public{""};
  Route no_permission = route(Method::kGet, "/a");
  no_permission.access = Route::Permission{""};
  for (const Route& bad : {no_handler, no_reason, no_permission, route(Method::kOther, "/a")}) {
    EXPECT_FALSE(RouteTable::build({bad}));
  }
}

TEST(RouteTable, ARouteMayAnswerHeadAndOptionsItself) {
  const auto table = RouteTable::build(
      {route(Method::kOptions, "/a/*x"), route(Method::kHead, "/a/*x"), route(Method::kPost, "/a/*x")});
  ASSERT_TRUE(table);
  const auto match = table->match(Method::kOptions, "/a/b");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.allow, "HEAD, POST, OPTIONS");
}

TEST(RouteTable, TheSameShapeMayHaveSeveralMethods) {
  EXPECT_TRUE(RouteTable::build({route(Method::kGet, "/a/:x"), route(Method::kPost, "/a/:y")}));
}

}  // namespace
}  // namespace bulkhead::access
