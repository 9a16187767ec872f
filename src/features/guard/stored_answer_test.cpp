#include "features/guard/stored_answer.h"

#include <gtest/gtest.h>

namespace bulkhead::guard {
namespace {

net::Response json_response(std::string body) { return net::Response::text(201, "application/json", std::move(body)); }

TEST(StoredAnswer, AJsonBodyIsReplayedByteByByte) {
  net::Response response = json_response("{\"b\": 1,\n\"a\":2}");
  response.headers.add("Location", "/x");
  response.headers.add("etag", "\"1\"");
  response.headers.add("x-ext-count", "7");
  response.headers.add("set-cookie", "a=b");
  response.headers.add("x-request-id", "first");
  const net::Response again = replay(sanitise(response));
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.body, response.body);
  EXPECT_EQ(again.headers.find("content-type"), "application/json");
  EXPECT_EQ(again.headers.find("location"), "/x");
  EXPECT_EQ(again.headers.find("etag"), "\"1\"");
  EXPECT_EQ(again.headers.find("x-ext-count"), "7");
  EXPECT_EQ(again.headers.find("idempotency-replayed"), "true");
  EXPECT_FALSE(again.headers.find("idempotency-body"));
  EXPECT_FALSE(again.headers.find("set-cookie"));
  EXPECT_FALSE(again.headers.find("x-request-id"));
}

TEST(StoredAnswer, BodyStateTable) {
  struct Case {
    const char* name;
    net::Response response;
    BodyState state;
    bool omitted;
  };
  net::Response streamed = json_response("");
  streamed.stream = [](net::ResponseWriter&) -> Task<> { co_return; };
  Case cases[] = {
      {"empty", net::Response::empty(204), BodyState::kEmpty, false},
      {"text", net::Response::text(200, "text/html", "<p>"), BodyState::kNonJson, true},
      {"says JSON, is not", json_response("{oops"), BodyState::kNonJson, true},
      {"no type",
       [] {
         auto r = net::Response::empty(200);
         r.body = "{}";
         return r;
       }(),
       BodyState::kNonJson, true},
      {"problem", net::Response::text(422, "application/problem+json; charset=utf-8", "{}"), BodyState::kStored, false},
      {"secret", json_response(R"({"id":1,"token":"t"})"), BodyState::kRedacted, true},
      {"a key's text", json_response(R"({"key":"bh_key_abc"})"), BodyState::kRedacted, true},
      {"just fits", json_response("\"" + std::string(kStoredBodyLimit - 2, 'x') + "\""), BodyState::kStored, false},
      {"too large", json_response("\"" + std::string(kStoredBodyLimit - 1, 'x') + "\""), BodyState::kTooLarge, true},
      {"streamed", std::move(streamed), BodyState::kNonJson, true},
  };
  for (const Case& c : cases) {
    const StoredAnswer stored = sanitise(c.response);
    EXPECT_EQ(stored.body_state, c.state) << c.name;
    const net::Response again = replay(stored);
    EXPECT_EQ(again.status, c.response.status) << c.name;
    EXPECT_EQ(again.headers.find("idempotency-body").has_value(), c.omitted) << c.name;
    EXPECT_EQ(again.body, c.state == BodyState::kStored ? c.response.body : "") << c.name;
  }
}

TEST(StoredAnswer, SecretsAreNotKept) {
  const StoredAnswer stored = sanitise(json_response(R"({"user":{"password":"hunter2"},"keys":["bh_key_abc"]})"));
  EXPECT_EQ(stored.body->find("hunter2"), std::string::npos);
  EXPECT_EQ(stored.body->find("bh_key_abc"), std::string::npos);
}

}  // namespace
}  // namespace bulkhead::guard
