#include "features/egress/fetch_request.h"

#include <gtest/gtest.h>

#include <map>

#include "features/egress/header_policy.h"

namespace bulkhead::egress {
namespace {

using protocol::HostCode;

FetchResult<FetchRequest> parse(std::string_view text) { return parse_fetch_request(*parse_json(text)); }

TEST(FetchRequest, HasDefaults) {
  const auto request = parse(R"({"url":"https://example.org/"})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->method, "GET");
  EXPECT_TRUE(request->headers.empty() && request->body.empty());
  EXPECT_EQ(request->timeout, kDefaultFetchTime);
  EXPECT_EQ(request->redirects, Redirects::kFollow);
}

TEST(FetchRequest, TakesEverythingItsSchemaAllows) {
  const auto request = parse(
      R"({"url":"https://example.org/","method":"POST","body_b64":"AAEC","timeout_ms":250,"redirect":"manual",
          "headers":{"Content-Type":"a/b","X-Key":{"secret_handle":"h"},"Authorization":{"secret_handle":"h","prefix":"Bearer "}}})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->body, std::string("\0\1\2", 3));
  EXPECT_EQ(request->timeout, Millis(250));
  EXPECT_EQ(request->redirects, Redirects::kManual);
  EXPECT_EQ(request->header("content-type")->value, "a/b");
  EXPECT_EQ(request->header("x-key")->secret_handle, "h");
  EXPECT_EQ(request->header("authorization")->value, "Bearer ");
  EXPECT_EQ(parse(R"({"url":"http://a/","method":"PUT","body":"\u00e9"})")->body, "\xC3\xA9");
}

TEST(FetchRequest, RefusesOtherShapes) {
  for (const std::string text : {
           R"([])",
           R"({})",
           R"({"url":1})",
           R"({"url":"/x"})",
           R"({"url":"http://a/","extra":1})",
           R"({"url":"http://a/","method":""})",
           R"({"url":"http://a/","method":"GET /x HTTP/1.1\r\n"})",
           R"({"url":"http://a/","method":"POST","body":"a","body_b64":"YQ=="})",
           R"({"url":"http://a/","method":"POST","body_b64":"!"})",
           R"({"url":"http://a/","body":"a"})",
           R"({"url":"http://a/","method":"HEAD","body":"a"})",
           R"({"url":"http://a/","timeout_ms":0})",
           R"({"url":"http://a/","timeout_ms":30001})",
           R"({"url":"http://a/","timeout_ms":"1"})",
           R"({"url":"http://a/","redirect":"never"})",
           R"({"url":"http://a/","headers":[]})",
           R"({"url":"http://a/","headers":{"x":1}})",
           R"({"url":"http://a/","headers":{"x":{}}})",
           R"({"url":"http://a/","headers":{"x":{"secret_handle":""}}})",
           R"({"url":"http://a/","headers":{"x":{"secret_handle":"h","value":"v"}}})",
           R"({"url":"http://a/","headers":{"X-A":"1","x-a":"2"}})",
           // header injection
           R"({"url":"http://a/","headers":{"x":"a\r\nevil: 1"}})",
           R"({"url":"http://a/","headers":{"x":"a\nevil: 1"}})",
           R"({"url":"http://a/","headers":{"x":"a\u0000b"}})",
           R"({"url":"http://a/","headers":{"x":"a\u007fb"}})",
           R"({"url":"http://a/","headers":{"x\r\nevil":"1"}})",
           R"({"url":"http://a/","headers":{"x: 1":"1"}})",
           R"({"url":"http://a/","headers":{"x ":"1"}})",
           R"({"url":"http://a/","headers":{"":"1"}})",
           R"({"url":"http://a/","headers":{"x":{"secret_handle":"h","prefix":"a\r\n"}}})",
       }) {
    const auto request = parse(text);
    ASSERT_FALSE(request) << text;
    EXPECT_EQ(request.error().code, HostCode::kInvalid) << text;
    EXPECT_EQ(request.error().name, "invalid_request");
  }
}

TEST(FetchRequest, BoundsHeaders) {
  const auto with = [](int count, std::size_t size) {
    json::object headers;
    for (int i = 0; i < count; ++i) headers["x-" + std::to_string(i)] = std::string(size, 'v');
    return parse_fetch_request(json::value{{"url", "http://a/"}, {"headers", std::move(headers)}});
  };
  EXPECT_TRUE(with(64, 100));
  EXPECT_EQ(with(65, 1).error().code, HostCode::kInvalid);
  EXPECT_TRUE(with(1, 16'000));
  EXPECT_EQ(with(1, 16'400).error().code, HostCode::kInvalid);
  EXPECT_EQ(with(4, 5'000).error().code, HostCode::kInvalid);
}

TEST(FetchRequest, DeniesMethodsAndHeadersThatAreNotTheGuests) {
  for (const auto* method : {"TRACE", "CONNECT", "get", "PROPFIND"}) {
    EXPECT_EQ(parse(R"({"url":"http://a/","method":")" + std::string(method) + "\"}").error().reason, "method");
  }
  for (const auto* name :
       {"Host", "Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Expect",
        "Cookie", "Cookie2", "Proxy-Authorization", "Proxy-Connection", "Sec-WebSocket-Key", "HTTP2-Settings", "Via"}) {
    const auto request = parse(R"({"url":"http://a/","headers":{")" + std::string(name) + R"(":"1"}})");
    ASSERT_FALSE(request) << name;
    EXPECT_EQ(request.error().code, HostCode::kDenied) << name;
    EXPECT_EQ(request.error().reason, "header") << name;
  }
  const auto traced = parse(R"({"url":"http://a/","headers":{"traceparent":"1","tracestate":"2","x":"3"}})");
  ASSERT_TRUE(traced);
  EXPECT_EQ(traced->headers.size(), 1U);
}

struct Rewriting {
  int status;
  const char* method;
  const char* after;
};

TEST(FetchRequest, RedirectsRewriteMethodsAsBrowsersDo) {
  const std::vector<Rewriting> table = {
      {301, "GET", "GET"},   {301, "POST", "GET"},      {301, "PUT", "PUT"},     {301, "HEAD", "HEAD"},
      {302, "POST", "GET"},  {302, "DELETE", "DELETE"}, {303, "GET", "GET"},     {303, "HEAD", "HEAD"},
      {303, "POST", "GET"},  {303, "PUT", "GET"},       {303, "OPTIONS", "GET"}, {307, "POST", "POST"},
      {308, "POST", "POST"}, {308, "PATCH", "PATCH"},
  };
  for (const auto& [status, method, after] : table) {
    FetchRequest request{.method = method, .url = *TargetUrl::parse("http://a.example/x"), .headers = {}, .body = "b"};
    request.headers = {{"content-type", "a/b", ""}, {"x-other", "1", ""}};
    ASSERT_TRUE(apply_redirect(request, status, "y"));
    EXPECT_EQ(request.method, after) << status << " " << method;
    const bool kept = request.method == method;
    EXPECT_EQ(request.body, kept ? "b" : "") << status << " " << method;
    EXPECT_EQ(request.header("content-type") != nullptr, kept) << status << " " << method;
    EXPECT_NE(request.header("x-other"), nullptr);
    EXPECT_EQ(request.url.to_string(), "http://a.example/y");
  }
}

TEST(FetchRequest, CredentialsStayAtTheirOrigin) {
  const std::map<std::string, bool> targets = {
      {"/other", true},
      {"https://a.example:443/", true},
      {"https://A.example/", true},
      {"https://a.example:8443/", false},
      {"https://b.example/", false},
      {"//sub.a.example/", false},
      {"https://a.example./", false},
  };
  for (const auto& [location, kept] : targets) {
    FetchRequest request{.url = *TargetUrl::parse("https://a.example/x"), .headers = {}, .body = {}};
    request.headers = {
        {"authorization", "a", ""}, {"x-api-key", "b", ""}, {"x-mine", "", "handle"}, {"x-other", "1", ""}};
    ASSERT_TRUE(apply_redirect(request, 307, location)) << location;
    EXPECT_EQ(request.headers.size(), kept ? 4U : 1U) << location;
    EXPECT_NE(request.header("x-other"), nullptr);
  }
  // From http to https is another origin, too.
  FetchRequest request{
      .url = *TargetUrl::parse("http://a.example/"), .headers = {{"authorization", "a", ""}}, .body = {}};
  ASSERT_TRUE(apply_redirect(request, 301, "https://a.example/"));
  EXPECT_TRUE(request.headers.empty());
}

TEST(FetchRequest, ARedirectNeverLeavesHttps) {
  FetchRequest request{.url = *TargetUrl::parse("https://a.example/"), .headers = {}, .body = {}};
  EXPECT_EQ(apply_redirect(request, 302, "http://a.example/").error().reason, "scheme_downgrade");
  EXPECT_EQ(apply_redirect(request, 302, "ftp://a.example/").error().reason, "scheme");
  EXPECT_EQ(request.url.to_string(), "https://a.example/");
}

TEST(HeaderPolicy, ShowsTheGuestNoCookiesAndNoHopByHopFields) {
  net::Headers headers;
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{{"Content-Type", "a/b"},
                                                                                    {"X-Many", "1"},
                                                                                    {"x-many", "2"},
                                                                                    {"Set-Cookie", "a=b"},
                                                                                    {"Set-Cookie2", "a=b"},
                                                                                    {"Connection", "close, X-Hop"},
                                                                                    {"x-hop", "1"},
                                                                                    {"Keep-Alive", "1"},
                                                                                    {"Transfer-Encoding", "chunked"},
                                                                                    {"Proxy-Authenticate", "Basic"},
                                                                                    {"Upgrade", "h2"},
                                                                                    {"Trailer", "x"},
                                                                                    {"bad name", "1"},
                                                                                    {"content-encoding", "gzip"},
                                                                                    {"content-length", "3"}}) {
    headers.add(name, value);
  }
  const std::map<std::string, std::string> decoded = {{"content-type", "a/b"}, {"x-many", "1, 2"}};
  EXPECT_EQ(guest_headers(headers, BodyForm::kDecoded), decoded);
  auto as_sent = decoded;
  as_sent["content-encoding"] = "gzip";
  as_sent["content-length"] = "3";
  EXPECT_EQ(guest_headers(headers, BodyForm::kAsSent), as_sent);
}

}  // namespace
}  // namespace bulkhead::egress
