// Where a fetch may go and what it carries, against a real upstream.
#include "features/egress/egress_service.h"

#include <gtest/gtest.h>

#include "features/egress/room_testing.h"

namespace bulkhead::egress {
namespace {

// --- what goes out, what comes back --------------------------------------------------------------------------------
TEST_F(EgressTest, FetchesWithMethodHeadersAndBody) {
  std::promise<RawServer::Seen> seen;
  RawServer server([&](const auto& request) {
    seen.set_value(request);
    return answer_of("created", "Content-Type: text/plain\r\nSet-Cookie: a=b\r\nX-One: 1\r\nx-one: 2\r\n",
                     "201 Created");
  });
  grant_loopback(server);
  const auto got = answer({{"url", server.url("/a?b=c#d")},
                           {"method", "POST"},
                           {"headers", {{"X-Mine", "v"}, {"authorization", "Basic x"}}},
                           {"body", "text"}});
  EXPECT_EQ(got.at("status"), 201);
  EXPECT_EQ(body_of(got), "created");
  EXPECT_EQ(got.at("url").as_string(), server.url("/a?b=c"));
  EXPECT_EQ(got.at("headers"), (json::value{{"content-type", "text/plain"}, {"x-one", "1, 2"}}));
  const auto request = seen.get_future().get();
  EXPECT_TRUE(request.head.starts_with("POST /a?b=c HTTP/1.1\r\n"));
  EXPECT_EQ(request.body, "text");
  for (const auto* line : {"x-mine: v\r\n", "authorization: Basic x\r\n", "User-Agent: bulkhead\r\n"}) {
    EXPECT_NE(request.head.find(line), std::string::npos) << request.head;
  }
  EXPECT_EQ(request.head.find("Cookie"), std::string::npos);
}

TEST_F(EgressTest, CookiesOfAnAnswerAreNeverSentBack) {
  std::string heads;
  RawServer server([&](const auto& request) {
    heads += request.head;
    return request.head.starts_with("GET /1")
               ? answer_of("", "set-cookie: a=b; Path=/\r\nlocation: /2\r\n", "302 Found")
               : answer_of("");
  });
  grant_loopback(server);
  answer({{"url", server.url("/1")}});
  answer({{"url", server.url("/3")}});
  EXPECT_EQ(heads.find("ookie"), std::string::npos) << heads;
}

TEST_F(EgressTest, ContinuesTheTraceWithASpanOfItsOwn) {
  std::vector<std::string> heads;
  RawServer server([&](const auto& request) {
    heads.push_back(request.head);
    return answer_of("");
  });
  grant_loopback(server);
  answer({{"url", server.url("/")}, {"headers", {{"traceparent", "forged"}}}});
  context_.execution->trace_parent = "00-forged\r\nevil: 1";
  answer({{"url", server.url("/")}});
  const auto at = heads[0].find("traceparent: 00-0af7651916cd43dd8448eb211c80319c-");
  ASSERT_NE(at, std::string::npos) << heads[0];
  EXPECT_EQ(heads[0].find("b7ad6b7169203331"), std::string::npos);
  EXPECT_EQ(heads[0].find("forged"), std::string::npos);
  EXPECT_EQ(heads[1].find("traceparent"), std::string::npos);
  EXPECT_EQ(heads[1].find("evil"), std::string::npos);
}

// --- where it may go -----------------------------------------------------------------------------------------------
TEST_F(EgressTest, ReachesOnlyHostsAndPortsThatAreGranted) {
  RawServer server([](const auto&) { return answer_of("here"); });
  for (const auto* host : {"api.example.com", "a.example.org", "a.b.example.org", "example.org", "evil-example.org",
                           "example.org.evil.net", "xn--bcher-kva.example", "a.example.org."}) {
    names_[host] = {"127.0.0.1"};
  }
  const auto at = ":" + port(server);
  grant({"API.example.com" + at, "*.example.org" + at, "xn--bcher-kva.example" + at, "example.net"});
  const std::vector<std::pair<std::string, std::string>> table = {
      {"http://api.example.com" + at, "0 ok"},
      {"http://Api.EXAMPLE.com" + at, "0 ok"},
      {"http://a.example.org" + at, "0 ok"},
      {"http://a.b.example.org" + at, "0 ok"},
      {"http://xn--bcher-kva.example" + at, "0 ok"},
      {"http://example.org" + at, "-1 host_not_granted"},
      {"http://evil-example.org" + at, "-1 host_not_granted"},
      {"http://example.org.evil.net" + at, "-1 host_not_granted"},
      {"http://.example.org" + at, "-2 invalid_request"},
      {"http://a.example.org." + at, "-1 host_not_granted"},
      {"http://api.example.com./", "-1 host_not_granted"},
      {"http://api.example.com", "-1 host_not_granted"},
      {"https://api.example.com", "-1 host_not_granted"},
      {"http://api.example.com:1", "-1 host_not_granted"},
      {"http://example.net" + at, "-1 host_not_granted"},
      {"http://127.0.0.1" + at, "-1 host_not_granted"},
      {"http://api.example.com" + at + "@evil.net/", "-2 invalid_request"},
      {"http://api.example.com@evil.net/", "-2 invalid_request"},
      {"http://evil.net\\@api.example.com/", "-2 invalid_request"},
      {"http://b\u00fccher.example" + at, "-2 invalid_request"},
      {"http://[::1]" + at, "-1 host_not_granted"},
      {"ftp://api.example.com/", "-1 scheme"},
      {"file:///etc/passwd", "-1 scheme"},
  };
  for (const auto& [url, expected] : table) EXPECT_EQ(outcome(fetch(url)), expected) << url;
  EXPECT_EQ(fetch("http://api.example.com").code, HostCode::kDenied);
  EXPECT_EQ(error_of(fetch("http://api.example.com")), "capability_denied");
}

TEST_F(EgressTest, GrantsOfNothingReachNothing) {
  RawServer server([](const auto&) { return answer_of("here"); });
  EXPECT_EQ(outcome(fetch(server.url("/"))), "-1 host_not_granted");
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(EgressTest, GuardsEveryAddressThatANameStandsFor) {
  RawServer server([](const auto&) { return answer_of("secret"); });
  options_.dial_guard = guard_.dial_guard();
  const auto url = "http://name.example:" + port(server) + "/";
  grant({"name.example:" + port(server)});
  const std::vector<std::pair<std::string, std::string>> table = {
      {"127.0.0.1", "loopback"},
      {"127.9.9.9", "loopback"},
      {"::1", "loopback"},
      {"0.0.0.0", "unspecified"},
      {"::", "unspecified"},
      {"169.254.169.254", "metadata"},
      {"fd00:ec2::254", "metadata"},
      {"fe80::a9fe:a9fe", "metadata"},
      {"100.100.100.200", "metadata"},
      {"169.254.1.1", "link_local"},
      {"10.0.0.1", "private"},
      {"192.168.1.1", "private"},
      {"172.16.0.1", "private"},
      {"fd12::1", "unique_local"},
      {"100.64.0.1", "shared_space"},
      {"224.0.0.1", "multicast"},
      {"255.255.255.255", "broadcast"},
      {"192.0.2.1", "documentation"},
      {"198.18.0.1", "benchmarking"},
      {"240.0.0.1", "reserved"},
      {"::ffff:127.0.0.1", "embedded_ipv4"},
      {"::127.0.0.1", "embedded_ipv4"},
      {"64:ff9b::7f00:1", "embedded_ipv4"},
      {"2002:7f00:1::", "embedded_ipv4"},
      {"2001:0:7f00:1::", "embedded_ipv4"},
      {"::ffff:169.254.169.254", "embedded_ipv4"},
  };
  for (const auto& [address, reason] : table) {
    names_["name.example"] = {address};
    const auto result = fetch(url);
    EXPECT_EQ(outcome(result), "-1 " + reason) << address;
    EXPECT_EQ(result.response_json.find(address), std::string::npos) << result.response_json;
  }
  EXPECT_EQ(server.connections(), 0);
  EXPECT_NE(registry_.render().find("egress_refused_total{reason=\"metadata\"} 4"), std::string::npos);
}

TEST_F(EgressTest, AGrantedAddressMustStillPassTheGuard) {
  RawServer server([](const auto&) { return answer_of("secret"); });
  options_.dial_guard = guard_.dial_guard();
  grant_loopback(server);
  EXPECT_EQ(outcome(fetch(server.url("/"))), "-1 loopback");
  for (const auto* host : {"2130706433", "0x7f000001", "0177.0.0.1", "127.1"}) {
    grant({std::string(host) + ":" + port(server)});
    EXPECT_EQ(outcome(fetch("http://" + std::string(host) + ":" + port(server))), "-1 host_form") << host;
  }
}

TEST_F(EgressTest, RebindingANameGainsNothing) {
  RawServer server([](const auto&) { return answer_of("", "connection: close\r\n"); });
  // 127.0.0.1 plays the public address of the first answer, 127.0.0.2 the inner one of the second.
  const auto url = "http://rebound.example:" + port(server) + "/";
  grant({"rebound.example:" + port(server)});
  names_["rebound.example"] = {"127.0.0.1"};
  EXPECT_EQ(outcome(fetch(url)), "0 ok");
  names_["rebound.example"] = {"127.0.0.2"};
  EXPECT_EQ(outcome(fetch(url)), "-1 loopback");
  names_["rebound.example"] = {"169.254.169.254", "127.0.0.2"};
  EXPECT_EQ(fetch(url).code, HostCode::kDenied);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(EgressTest, APinnedHostIsReachedByHttpsOnly) {
  RawServer server([](const auto&) { return answer_of("plain"); });
  options_.pins = PinnedKeys::parse({"127.0.0.1=sha256//" + base64_encode(std::string(32, 'x'))}).value();
  grant_loopback(server);
  EXPECT_EQ(outcome(fetch(server.url("/"))), "-1 scheme");
  EXPECT_EQ(server.connections(), 0);
}

// --- redirects -----------------------------------------------------------------------------------------------------
TEST_F(EgressTest, FollowsRedirectsWithinItsGrants) {
  RawServer server([&](const auto& request) {
    if (request.head.starts_with("POST /start")) return redirect_to("next?x=1", "303 See Other");
    if (request.head.starts_with("GET /next?x=1")) return redirect_to("/a/./../end");
    return answer_of(request.head.substr(0, request.head.find(" HTTP")) + request.body);
  });
  grant_loopback(server);
  const auto got = answer({{"url", server.url("/start")}, {"method", "POST"}, {"body", "gone"}});
  EXPECT_EQ(body_of(got), "GET /end");
  EXPECT_EQ(got.at("url").as_string(), server.url("/end"));
}

TEST_F(EgressTest, ChecksEveryHopOfARedirect) {
  std::string location;
  RawServer server([&](const auto&) { return redirect_to(location); });
  const auto at = ":" + port(server);
  names_["inner.example"] = {"10.0.0.1"};
  names_["metadata.example"] = {"169.254.169.254"};
  grant({"127.0.0.1" + at, "inner.example", "metadata.example", "169.254.169.254"});
  const std::vector<std::pair<std::string, std::string>> table = {
      {"http://169.254.169.254/latest/meta-data/", "-1 metadata"},
      {"http://metadata.example/", "-1 metadata"},
      {"http://inner.example/", "-1 private"},
      {"//other.example/", "-1 host_not_granted"},
      {"http://127.0.0.1:1/", "-1 host_not_granted"},
      {"http://localhost" + at + "/", "-1 host_not_granted"},
      {"http://[::ffff:169.254.169.254]/", "-1 host_not_granted"},
      {"http://2852039166/", "-1 host_form"},
      {"http://127.0.0.1" + at + "@other.example/", "-7 upstream_error"},
      {"file:///etc/passwd", "-1 scheme"},
      {"/loop", "-7 upstream_error"},
  };
  for (const auto& [to, expected] : table) {
    location = to;
    EXPECT_EQ(outcome(fetch(server.url("/"))), expected) << to;
  }
}

TEST_F(EgressTest, FollowsAtMostFiveRedirects) {
  std::atomic<int> requests = 0;
  RawServer server([&](const auto& request) {
    ++requests;
    const int left = request.head[5] - '0';
    return left == 0 ? answer_of("end") : redirect_to("/" + std::to_string(left - 1));
  });
  grant_loopback(server);
  EXPECT_EQ(body_of(answer({{"url", server.url("/5")}})), "end");
  requests = 0;
  EXPECT_EQ(outcome(fetch(server.url("/6"))), "-7 upstream_error");
  EXPECT_EQ(requests, 6);
}

TEST_F(EgressTest, LeavesRedirectsToTheGuestWhereItAsksForThat) {
  RawServer server([](const auto&) { return redirect_to("http://other.example/"); });
  grant_loopback(server);
  const auto got = answer({{"url", server.url("/")}, {"redirect", "manual"}});
  EXPECT_EQ(got.at("status"), 302);
  EXPECT_EQ(got.at("headers").at("location"), "http://other.example/");
  EXPECT_EQ(outcome(fetch(json::value{{"url", server.url("/")}, {"redirect", "error"}})), "-7 upstream_error");
}

// --- secrets -------------------------------------------------------------------------------------------------------
TEST_F(EgressTest, PutsASecretInAHeaderWithoutShowingItToTheGuest) {
  std::string heads;
  RawServer server([&](const auto& request) {
    heads += request.head;
    if (request.head.starts_with("GET /same")) return redirect_to("/end");
    if (request.head.starts_with("GET /other")) return redirect_to("http://second.example:" + port(server) + "/end");
    return answer_of("fine");
  });
  names_["first.example"] = names_["second.example"] = {"127.0.0.1"};
  grant({"first.example:" + port(server), "second.example:" + port(server)});
  const auto request = [&](std::string_view path) {
    return json::value{{"url", "http://first.example:" + port(server) + std::string(path)},
                       {"headers", {{"authorization", {{"secret_handle", "handle-1"}, {"prefix", "Bearer "}}}}}};
  };
  const auto times_seen = [&] {
    std::size_t count = 0;
    for (auto at = heads.find("Bearer s3cret\r\n"); at != std::string::npos;
         at = heads.find("Bearer s3cret\r\n", at + 1)) {
      ++count;
    }
    heads.clear();
    return count;
  };
  const auto plain = fetch(request("/end"));
  EXPECT_EQ(plain.code, HostCode::kOk);
  EXPECT_EQ(plain.response_json.find("s3cret"), std::string::npos);
  EXPECT_EQ(secrets_.last.host, "first.example");
  EXPECT_EQ(secrets_.last.port, server.port());
  EXPECT_FALSE(secrets_.last.https);
  EXPECT_EQ(times_seen(), 1U);
  EXPECT_EQ(fetch(request("/same")).code, HostCode::kOk);
  EXPECT_EQ(times_seen(), 2U);
  EXPECT_EQ(fetch(request("/other")).code, HostCode::kOk);
  EXPECT_EQ(times_seen(), 1U);
}

TEST_F(EgressTest, SaysNothingOfASecretThatDoesNotFit) {
  RawServer server([](const auto&) { return answer_of("fine"); });
  names_["elsewhere.example"] = {"127.0.0.1"};
  grant({"127.0.0.1:" + port(server), "elsewhere.example:" + port(server)});
  const auto with = [&](const std::string& host, const std::string& handle) {
    return fetch(json::value{{"url", "http://" + host + ":" + port(server) + "/"},
                             {"headers", {{"x-key", {{"secret_handle", handle}}}}}});
  };
  EXPECT_EQ(outcome(with("127.0.0.1", "another")), "-3 not_found");
  const auto refused = with("elsewhere.example", "handle-1");
  EXPECT_EQ(outcome(refused), "-1 secret");
  EXPECT_EQ(refused.response_json.find("s3cret"), std::string::npos);
  secrets_.value = "s3cret\r\nevil: 1";
  const auto broken = with("127.0.0.1", "handle-1");
  EXPECT_EQ(broken.code, HostCode::kInvalid);
  EXPECT_EQ(broken.response_json.find("s3cret"), std::string::npos);
  EXPECT_EQ(server.connections(), 0);
}

}  // namespace
}  // namespace bulkhead::egress
