#include "platform/net/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/net/http_wire.h"

namespace bulkhead::net {
namespace {

TEST(Method, KnowsItsNamesAndWhichAreSafe) {
  for (const Method method :
       {Method::kGet, Method::kHead, Method::kPost, Method::kPut, Method::kPatch, Method::kDelete, Method::kOptions}) {
    EXPECT_EQ(parse_method(to_string(method)), method);
  }
  EXPECT_EQ(parse_method("get"), Method::kOther) << "methods are case-sensitive";
  EXPECT_EQ(parse_method("TRACE"), Method::kOther);
  EXPECT_TRUE(is_safe(Method::kGet) && is_safe(Method::kHead) && is_safe(Method::kOptions));
  EXPECT_FALSE(is_safe(Method::kPost) || is_safe(Method::kDelete) || is_safe(Method::kOther));
}

TEST(Headers, FindIgnoresCaseAndKeepsOrder) {
  Headers headers;
  headers.add("Content-Type", "a");
  headers.add("X-One", "1");
  headers.add("x-one", "2");
  EXPECT_EQ(headers.find("content-type"), "a");
  EXPECT_EQ(headers.find("X-ONE"), "1");
  EXPECT_EQ(headers.count("x-One"), 2U);
  EXPECT_EQ(headers.find("content-typ"), std::nullopt);
  EXPECT_EQ(headers.at(2).name, "x-one");
  EXPECT_EQ(headers.at(2).value, "2");
}

TEST(Headers, SetReplacesAndRemoveTakesAllOfThatName) {
  Headers headers;
  headers.add("a", "1");
  headers.add("b", "2");
  headers.add("A", "3");
  headers.set("a", "4");
  EXPECT_EQ(headers.count("a"), 1U);
  EXPECT_EQ(headers.find("a"), "4");
  headers.remove("B");
  EXPECT_EQ(headers.size(), 1U);
  headers.clear();
  EXPECT_EQ(headers.size(), 0U);
  EXPECT_EQ(headers.find("a"), std::nullopt);
}

TEST(Headers, MayTakeTextFromThemselves) {
  Headers headers;
  headers.add("a", "first value");
  for (int i = 0; i < 20; ++i) headers.add(headers.at(0).name, headers.at(0).value);
  headers.set("b", *headers.find("a"));
  headers.set("b", *headers.find("b"));
  EXPECT_EQ(headers.count("a"), 21U);
  for (std::size_t i = 0; i < headers.size(); ++i) EXPECT_EQ(headers.at(i).value, "first value");
}

TEST(RequestHead, SplitsTheTarget) {
  RequestHead head;
  head.target = "/a/b?c=d?e";
  EXPECT_EQ(head.path(), "/a/b");
  EXPECT_EQ(head.query(), "c=d?e");
  head.target = "/a";
  EXPECT_EQ(head.path(), "/a");
  EXPECT_EQ(head.query(), "");
}

// --- problems ----------------------------------------------------------------------------------------------------
json::object body_of(const Response& response) { return parse_json(response.body)->as_object(); }

TEST(Problem, HasExactlyTheMembersOfTheContract) {
  Error error = fail(ErrorCode::kUnprocessable, "Two fields are wrong.", "secret detail").error();
  error.fields = {{"/name", "too long"}, {"/a~1b", "missing"}};
  error.cause = std::make_shared<const Error>(fail(ErrorCode::kInternal, "secret cause").error());
  const Response response = problem(error, "req-1");
  EXPECT_EQ(response.status, 422);
  EXPECT_EQ(response.headers.find("content-type"), "application/problem+json");
  EXPECT_EQ(parse_json(response.body).value(), json::parse(R"({
    "type": "urn:bulkhead:error:unprocessable", "title": "The content is not valid", "status": 422,
    "detail": "Two fields are wrong.", "code": "unprocessable", "request_id": "req-1",
    "errors": [{"pointer": "/name", "message": "too long"}, {"pointer": "/a~1b", "message": "missing"}],
    "message": "Two fields are wrong."})"));
}

TEST(Problem, SaysWhatToDoWhenTheErrorSaysNothing) {
  const auto body = body_of(problem(fail(ErrorCode::kNotFound).error(), ""));
  EXPECT_EQ(body.at("detail").as_string(), "There is no such resource. Check the id and the path.");
  EXPECT_FALSE(body.contains("errors"));
}

TEST(Problem, IsValidJsonWhateverTheMessageQuotes) {
  const auto body = body_of(problem(fail(ErrorCode::kBadRequest, "bad \"\xff\n\x01\"").error(), "r\"1"));
  EXPECT_EQ(body.at("detail").as_string(), "bad \"\xEF\xBF\xBD\n\x01\"");
  EXPECT_EQ(body.at("request_id").as_string(), "r\"1");
}

TEST(Problem, AddsRetryAfterAndChallenge) {
  struct Case {
    ErrorCode code;
    std::int64_t retry_after_ms;
    std::optional<std::string_view> retry_after, challenge;
  };
  for (const Case& c : {
           Case{ErrorCode::kRateLimited, 1, "1", {}},
           Case{ErrorCode::kRateLimited, 1500, "2", {}},
           Case{ErrorCode::kRateLimited, 0, "1", {}},
           Case{ErrorCode::kOverloaded, 0, "1", {}},
           Case{ErrorCode::kUnavailable, 30'000, "30", {}},
           Case{ErrorCode::kConflict, 2000, "2", {}},
           Case{ErrorCode::kConflict, 0, {}, {}},
           Case{ErrorCode::kUnauthenticated, 0, {}, "Bearer realm=\"bulkhead\""},
           Case{ErrorCode::kInvalidCredential, 0, {}, "Bearer realm=\"bulkhead\", error=\"invalid_token\""},
       }) {
    Error error = fail(c.code).error();
    error.retry_after_ms = c.retry_after_ms;
    const Response response = problem(error, "");
    EXPECT_EQ(response.headers.find("retry-after"), c.retry_after) << error.wire_code();
    EXPECT_EQ(response.headers.find("www-authenticate"), c.challenge) << error.wire_code();
  }
}

// --- targets -----------------------------------------------------------------------------------------------------
TEST(Percent, DecodesStrictly) {
  struct Case {
    std::string_view text;
    std::optional<std::string> decoded;
  };
  for (const Case& c : {
           Case{"", ""},
           Case{"a+b%20c", "a+b c"},
           Case{"%2fA%2F%c3%A9", "/A/é"},
           Case{"%", std::nullopt},
           Case{"%4", std::nullopt},
           Case{"a%4", std::nullopt},
           Case{"%zz", std::nullopt},
           Case{"%4 ", std::nullopt},
           Case{"%+1", std::nullopt},
           Case{"%00", std::nullopt},
           Case{std::string_view("a\0b", 3), std::nullopt},
           Case{"%2541", "%41"},
       }) {
    EXPECT_EQ(percent_decode(c.text), c.decoded) << c.text;
  }
}

TEST(Percent, EncodesAllButUnreservedAndComesBack) {
  EXPECT_EQ(percent_encode("aZ09-._~ /+:%é"), "aZ09-._~%20%2F%2B%3A%25%C3%A9");
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
}

TEST(Query, ReadsFormParameters) {
  const auto query = parse_query("a=1&b=x+y%26z&&c&d=&=e&a=2&f==");
  ASSERT_TRUE(query.has_value());
  EXPECT_EQ(query->size(), 7U);
  EXPECT_EQ(query_value(*query, "a"), "1") << "the first";
  EXPECT_EQ(query_value(*query, "b"), "x y&z");
  EXPECT_EQ(query_value(*query, "c"), "");
  EXPECT_EQ(query_value(*query, "d"), "");
  EXPECT_EQ(query_value(*query, ""), "e");
  EXPECT_EQ(query_value(*query, "f"), "=");
  EXPECT_EQ(query_value(*query, "g"), std::nullopt);
  EXPECT_TRUE(parse_query("")->empty());
  EXPECT_FALSE(parse_query("a=%").has_value());
  EXPECT_FALSE(parse_query("%0=1").has_value());
  EXPECT_FALSE(parse_query("a=%00").has_value());
}

// --- the wire ----------------------------------------------------------------------------------------------------
TEST(DateCache, WritesImfFixdate) {
  EXPECT_EQ(DateCache::format(784'111'777), "Sun, 06 Nov 1994 08:49:37 GMT");  // the example of RFC 9110 §5.6.7
  EXPECT_EQ(DateCache::format(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(DateCache().now().size(), 29U);
}

}  // namespace
}  // namespace bulkhead::net
