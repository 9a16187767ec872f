#include "features/gateway/endpoint_router.h"

#include <gtest/gtest.h>

namespace bulkhead::gateway {
namespace {

extensions::RunnableVersion version() {
  extensions::RunnableVersion version;
  const auto add = [&](std::string method, std::vector<std::string> segments, std::string handler) {
    extensions::Endpoint endpoint;
    endpoint.method = std::move(method);
    endpoint.segments = std::move(segments);
    endpoint.handler = std::move(handler);
    version.endpoints.push_back(std::move(endpoint));
  };
  add("GET", {}, "root");
  add("GET", {"orders"}, "list");
  add("POST", {"orders"}, "create");
  add("GET", {"orders", ":id"}, "read");
  add("GET", {"orders", "latest"}, "latest");
  add("DELETE", {"orders", ":id"}, "remove");
  return version;
}

std::string handler_of(net::Method method, std::string_view path) {
  const auto v = version();
  const auto match = match_endpoint(v, method, path);
  return match && match->endpoint != nullptr ? match->endpoint->handler : "";
}

TEST(EndpointRouter, MatchesLiteralsBeforeParameters) {
  EXPECT_EQ(handler_of(net::Method::kGet, ""), "root");
  EXPECT_EQ(handler_of(net::Method::kGet, "/"), "root");
  EXPECT_EQ(handler_of(net::Method::kGet, "/orders"), "list");
  EXPECT_EQ(handler_of(net::Method::kGet, "orders/"), "list");
  EXPECT_EQ(handler_of(net::Method::kPost, "/orders"), "create");
  EXPECT_EQ(handler_of(net::Method::kGet, "/orders/7"), "read");
  EXPECT_EQ(handler_of(net::Method::kGet, "/orders/latest"), "latest");
  EXPECT_EQ(handler_of(net::Method::kHead, "/orders/7"), "read");
  EXPECT_EQ(handler_of(net::Method::kGet, "/orders/7/lines"), "");
  EXPECT_EQ(handler_of(net::Method::kGet, "/orders//"), "");
}

TEST(EndpointRouter, DecodesParametersOnce) {
  const auto v = version();
  const auto match = match_endpoint(v, net::Method::kGet, "/orders/a%20b%2541");
  ASSERT_TRUE(match.has_value());
  EXPECT_EQ(match->params, (protocol::StringPairs{{"id", "a b%41"}}));
}

TEST(EndpointRouter, TellsTheGuestADecodedPath) {
  const auto v = version();
  EXPECT_EQ(match_endpoint(v, net::Method::kGet, "orders/a%20b%2541")->path, "/orders/a b%41");
  EXPECT_EQ(match_endpoint(v, net::Method::kGet, "/orders/7")->path, "/orders/7");
  EXPECT_EQ(match_endpoint(v, net::Method::kGet, "")->path, "/");
}

TEST(EndpointRouter, TellsTheMethodsOfAPathThatExists) {
  const auto v = version();
  const auto match = match_endpoint(v, net::Method::kPut, "/orders/7");
  ASSERT_TRUE(match.has_value());
  EXPECT_EQ(match->endpoint, nullptr);
  EXPECT_EQ(match->allowed.to_string(), "DELETE, GET, HEAD, OPTIONS");
  EXPECT_TRUE(match_endpoint(v, net::Method::kGet, "/nothing")->allowed.empty());
}

TEST(EndpointRouter, RefusesPathsThatCouldMeanTwoThings) {
  const auto v = version();
  for (const std::string_view path : {"/orders/%2e%2e", "/orders/..", "/orders/a%2fb", "/orders/%zz", "/orders/%00"}) {
    EXPECT_FALSE(match_endpoint(v, net::Method::kGet, path).has_value()) << path;
  }
}

}  // namespace
}  // namespace bulkhead::gateway
