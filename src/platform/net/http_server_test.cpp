#include "platform/net/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <thread>

#include "platform/net/http_server_fixture.h"

namespace bulkhead::net {
namespace {

using test::Answer;
using test::eventually;
using test::HttpServerTest;
using test::RawClient;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string get(std::string_view target, std::string_view more = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: test\r\n" + std::string(more) + "\r\n";
}
std::string post(std::string_view target, std::string_view body) {
  return "POST " + std::string(target) + " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

TEST_F(HttpServerTest, AnswersWithDateAndLengthAndWithoutServerField) {
  start();
  EXPECT_THAT(address(), StartsWith("127.0.0.1:"));
  RawClient client(address());
  client.send(get("/a"));
  const Answer answer = client.read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hello /a");
  EXPECT_EQ(answer.fields.at("content-type"), "text/plain");
  EXPECT_EQ(answer.fields.at("date").size(), std::string_view("Sun, 22 Nov 2026 13:00:45 GMT").size());
  EXPECT_FALSE(answer.fields.contains("server"));
  EXPECT_FALSE(answer.fields.contains("connection"));
}

TEST_F(HttpServerTest, ReusesAConnectionForTenThousandRequests) {
  start();
  RawClient client(address());
  for (int i = 0; i < 10'000; ++i) {
    const std::string target = "/" + std::to_string(i);
    ASSERT_TRUE(client.send(get(target)));
    const Answer answer = client.read_answer();
    ASSERT_EQ(answer.status, 200) << i;
    ASSERT_EQ(answer.body, "hello " + target);
  }
  EXPECT_EQ(sample("http_server_connections_opened_total"), 1);
  EXPECT_EQ(sample("http_server_answers_total{class=\"2xx\"}"), 10'000);
  EXPECT_EQ(sample("http_server_connections_open"), 1);
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  RawClient client(address());
  std::string all;
  for (int i = 0; i < 500; ++i) {
    all += i % 5 == 0 ? post("/echo", "body " + std::to_string(i)) : get("/" + std::to_string(i));
  }
  client.send(all);
  for (int i = 0; i < 500; ++i) {
    const Answer answer = client.read_answer();
    ASSERT_EQ(answer.status, 200) << i;
    ASSERT_EQ(answer.body, (i % 5 == 0 ? "body " : "hello /") + std::to_string(i));
  }
}

TEST_F(HttpServerTest, SendsAnEarlierPipelinedAnswerWhileTheNextHandlerRuns) {
  start();
  RawClient client(address());
  client.send(get("/first") + get("/wait"));
  EXPECT_EQ(client.read_answer().body, "hello /first");
  EXPECT_FALSE(service_.released);
  service_.released = true;
  EXPECT_EQ(client.read_answer().body, "released");
}

TEST_F(HttpServerTest, TakesRequestsInAnyPieces) {
  start();
  const std::string bytes = post("/echo", "0123456789") +
                            "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "4\r\nabcd\r\n6;name=\"v\"\r\nefghij\r\n0\r\nTrailer: x\r\n\r\n" +
                            get("/last");
  for (std::size_t step : {1UZ, 2UZ, 3UZ, 7UZ, 50UZ, 1000UZ}) {
    RawClient client(address());
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      client.send(std::string_view(bytes).substr(at, step));
      std::this_thread::yield();
    }
    EXPECT_EQ(client.read_answer().body, "0123456789") << step;
    EXPECT_EQ(client.read_answer().body, "abcdefghij") << step;
    EXPECT_EQ(client.read_answer().body, "hello /last") << step;
  }
}

TEST_F(HttpServerTest, ClosesWhenTheClientOrTheServiceAsks) {
  start();
  for (const std::string& request :
       {get("/a", "Connection: close\r\n"), get("/close"), std::string("GET /a HTTP/1.0\r\n\r\n")}) {
    RawClient client(address());
    client.send(request);
    const Answer answer = client.read_answer();
    EXPECT_EQ(answer.status, 200) << request;
    EXPECT_TRUE(answer.says_close()) << request;
    EXPECT_TRUE(client.sees_close()) << request;
  }
}

TEST_F(HttpServerTest, KeepsAnHttp10ConnectionThatAsksForIt) {
  start();
  RawClient client(address());
  for (int i = 0; i < 2; ++i) {
    client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const Answer answer = client.read_answer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.fields.at("connection"), "keep-alive");
  }
}

TEST_F(HttpServerTest, AnswersHeadLikeGetWithoutBody) {
  start();
  RawClient client(address());
  client.send("HEAD /abc HTTP/1.1\r\nHost: t\r\n\r\n");
  const Answer head = client.read_answer("HEAD");
  EXPECT_EQ(head.fields.at("content-length"), std::to_string(std::string_view("hello /abc").size()));
  client.send("HEAD /length HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(client.read_answer("HEAD").fields.at("content-length"), "10");
  client.send("HEAD /pieces?3 HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(client.read_answer("HEAD").status, 200);
  client.send(get("/next"));
  EXPECT_EQ(client.read_answer().body, "hello /next") << "no body bytes stood in between";
}

TEST_F(HttpServerTest, SendsNoBodyAndNoLengthWith204And304) {
  start();
  RawClient client(address());
  for (const auto* path : {"/empty", "/not-modified"}) {
    client.send(get(path));
    const Answer answer = client.read_answer();
    EXPECT_FALSE(answer.fields.contains("content-length")) << path;
    EXPECT_FALSE(answer.fields.contains("transfer-encoding")) << path;
  }
  client.send(get("/next"));
  EXPECT_EQ(client.read_answer().body, "hello /next");
}

TEST_F(HttpServerTest, TakesTheHostFromAnAbsoluteTarget) {
  start();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"http://real.example:81/target?b=c", "GET /target?b=c real.example:81"},
      {"HTTPS://real.example/target", "GET /target real.example"},
  };
  for (const auto& [target, expected] : cases) {
    RawClient client(address());
    client.send("GET " + target + " HTTP/1.1\r\nHost: other\r\n\r\n");
    EXPECT_EQ(client.read_answer().body, expected);
  }
  RawClient client(address());
  client.send("GET http://real.example?x HTTP/1.1\r\nHost: other\r\n\r\n");
  EXPECT_EQ(client.read_answer().body, "hello /") << "an empty path is /";
}

TEST_F(HttpServerTest, LeavesOutResponseFieldsThatWouldBreakTheFraming) {
  start();
  RawClient client(address());
  client.send(get("/bad-fields"));
  const Answer answer = client.read_answer();
  EXPECT_EQ(answer.body, "ok");
  EXPECT_EQ(answer.fields.at("x-good"), "1");
  EXPECT_THAT(answer.head, Not(HasSubstr("stolen")));
  EXPECT_THAT(answer.head, Not(HasSubstr("bad name")));
  EXPECT_FALSE(answer.fields.contains("connection"));
  EXPECT_EQ(sample("http_server_bad_response_fields_total"), 2);
}

TEST_F(HttpServerTest, AnswersInternalAndClosesWhenAHandlerThrows) {
  start();
  RawClient client(address());
  client.send(get("/throw"));
  const Answer answer = client.read_answer();
  EXPECT_EQ(answer.status, 500);
  EXPECT_THAT(answer.body, Not(HasSubstr("a handler's bug")));
  EXPECT_TRUE(client.sees_close());
}

TEST_F(HttpServerTest, SendsLargeAnswersToSlowReaders) {
  start();
  RawClient client(address());
  client.send(get("/large") + get("/after"));
  ASSERT_TRUE(eventually([&] { return service_.handled == 1; }));
  const Answer answer = client.read_answer();
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(answer.body, std::string(service_.large_size, 'L'));
  EXPECT_EQ(client.read_answer().body, "hello /after");
}

// Answers that fill the socket: no further request is taken until the client reads, and nothing gets lost, also when
// the client has ended its side.
TEST_F(HttpServerTest, SendsManySmallAnswersToAClientThatReadsLate) {
  start();
  constexpr int kRequests = 1'000;
  const std::string body(20'000, 'e');
  RawClient client(address());
  std::jthread sender([&] {
    for (int i = 0; i < kRequests; ++i) client.send(post("/echo", std::to_string(i) + body));
    client.finish_sending();
  });
  // The socket is full once the server has stopped taking requests.
  int before = -1;
  auto since = std::chrono::steady_clock::now();
  ASSERT_TRUE(eventually([&] {
    const int handled = service_.handled;
    if (std::exchange(before, handled) != handled) since = std::chrono::steady_clock::now();
    return handled > 0 && std::chrono::steady_clock::now() - since > Millis(100);
  }));
  EXPECT_LT(service_.handled, kRequests);
  for (int i = 0; i < kRequests; ++i) {
    const Answer answer = client.read_answer();
    ASSERT_EQ(answer.status, 200) << i;
    ASSERT_EQ(answer.body, std::to_string(i) + body);
  }
  sender.join();
  EXPECT_TRUE(client.sees_close());
}

TEST_F(HttpServerTest, SurvivesClientsThatLeaveAtAnyPoint) {
  start();
  const std::string bytes = get("/a") + post("/echo", std::string(5000, 'b')) + get("/large");
  for (std::size_t cut = 1; cut < bytes.size(); cut += 97) {
    RawClient client(address());
    client.send(std::string_view(bytes).substr(0, cut));
    if (cut % 2 == 0) {
      const linger hard{.l_onoff = 1, .l_linger = 0};  // a reset instead of an end
      ::setsockopt(client.handle(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
  }
  EXPECT_TRUE(eventually([&] { return sample("http_server_connections_open") == 0; }));
  RawClient client(address());
  client.send(get("/still-there"));
  EXPECT_EQ(client.read_answer().body, "hello /still-there");
}

TEST_F(HttpServerTest, AnswersAClientThatClosesItsSideAfterTheRequest) {
  start();
  RawClient client(address());
  client.send(get("/a") + get("/b"));
  client.finish_sending();
  EXPECT_EQ(client.read_answer().body, "hello /a");
  EXPECT_EQ(client.read_answer().body, "hello /b");
  EXPECT_TRUE(client.sees_close());
}

TEST_F(HttpServerTest, TellsAHandlerThatItsClientHasLeft) {
  start();
  {
    RawClient client(address());
    client.send(get("/wait?watch") + get("/pipelined"));
    ASSERT_TRUE(eventually([&] { return service_.waiting == 1; }));
    EXPECT_EQ(service_.left, 0);
  }
  EXPECT_TRUE(eventually([&] { return service_.left == 1; }));
  EXPECT_TRUE(eventually([&] { return service_.seen_gone.load(); }));
}

// --- listeners ---------------------------------------------------------------------------------------------------
TEST_F(HttpServerTest, ListensOnAUnixSocketAndReplacesAnAbandonedOne) {
  const std::string path = testing::TempDir() + "bulkhead_http_" + std::to_string(::getpid()) + ".sock";
  {
    const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    ASSERT_EQ(::bind(dead, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    ::close(dead);
  }
  options_.host = "unix:" + path;
  start();
  EXPECT_EQ(address(), "unix:" + path);
  RawClient client(address());
  client.send(get("/a"));
  EXPECT_EQ(client.read_answer().body, "hello /a");

  const auto second = listen_http(cores_, service_, options_, registry_);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);

  client.close();
  ASSERT_TRUE(drain(Millis(5000)));
  struct stat status{};
  EXPECT_NE(::stat(path.c_str(), &status), 0) << "the socket file is gone";
}

TEST_F(HttpServerTest, TakesOverAnInheritedListener) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  ASSERT_EQ(::listen(listener, 16), 0);
  options_.inherited_listener = listener;
  start();
  ::close(listener);  // the server has its own
  for (int i = 0; i < 20; ++i) {
    RawClient client(address());
    client.send(get("/a"));
    EXPECT_EQ(client.read_answer().body, "hello /a");
  }
}

TEST_F(HttpServerTest, ServesIpv4ClientsOfADualStackListenerAsIpv4) {
  options_.host = "::";
  start();
  RawClient client(address());
  client.send(get("/peer"));
  EXPECT_EQ(client.read_answer().body, "127.0.0.1");
}

TEST_F(HttpServerTest, RefusesAnAddressThatIsTakenOrIsNone) {
  start();
  HttpServerOptions options;
  options.port = static_cast<std::uint16_t>(std::stoi(address().substr(address().rfind(':') + 1)));
  const auto taken = listen_http(cores_, service_, options, registry_);
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(taken.error().message, HasSubstr("another process listens on it"));

  for (const std::string& host : {std::string("localhost"), std::string("unix:"), "unix:/" + std::string(200, 'a')}) {
    options.host = host;
    const auto bad = listen_http(cores_, service_, options, registry_);
    ASSERT_FALSE(bad.has_value()) << host;
    EXPECT_EQ(bad.error().code, ErrorCode::kBadRequest) << host;
  }
}

TEST_F(HttpServerTest, UsesEveryCore) {
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(std::make_unique<RawClient>(address()));
    clients.back()->send(get("/a"));
  }
  for (const auto& client : clients) EXPECT_EQ(client->read_answer().status, 200);
  EXPECT_EQ(sample("http_server_connections_open"), 64);
}

// --- drain -------------------------------------------------------------------------------------------------------
TEST_F(HttpServerTest, DrainFinishesRunningRequestsAndClosesIdleConnections) {
  start();
  RawClient idle(address()), busy(address());
  idle.send(get("/a"));
  EXPECT_EQ(idle.read_answer().status, 200);
  busy.send(get("/wait"));
  ASSERT_TRUE(eventually([&] { return service_.waiting == 1; }));

  std::thread drainer([&] { EXPECT_TRUE(drain(Millis(15'000))); });
  EXPECT_TRUE(idle.sees_close());
  service_.released = true;
  const Answer answer = busy.read_answer();
  EXPECT_EQ(answer.body, "released");
  EXPECT_TRUE(answer.says_close());
  EXPECT_TRUE(busy.sees_close());
  drainer.join();
  EXPECT_EQ(sample("http_server_connections_open"), 0);

  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  name.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address().substr(address().rfind(':') + 1))));
  const int late = ::socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_NE(::connect(late, reinterpret_cast<sockaddr*>(&name), sizeof name), 0) << "no longer listening";
  ::close(late);
}

TEST_F(HttpServerTest, DrainCutsWhatIsStillOpenAfterTheGrace) {
  start();
  RawClient stuck(address());
  stuck.send(get("/live"));  // never ends and is never read
  ASSERT_TRUE(eventually([&] { return service_.handled == 1; }));
  EXPECT_TRUE(drain(Millis(50)));
  EXPECT_TRUE(eventually([&] { return service_.write_failures == 1; }));
  EXPECT_TRUE(eventually([&] { return sample("http_server_connections_open") == 0; }));
}

TEST_F(HttpServerTest, DestroyingTheServerCutsItsConnections) {
  start();
  RawClient client(address());
  client.send(get("/a"));
  EXPECT_EQ(client.read_answer().status, 200);
  server_.reset();
  EXPECT_TRUE(client.sees_close());
}

TEST(HttpServerLifetime, StoppedCoresMayOutliveTheServerAndWhatItWasGiven) {
  Cores cores(1);
  auto service = std::make_unique<test::PathService>();
  auto registry = std::make_unique<metrics::Registry>();
  auto server = listen_http(cores, *service, {}, *registry);
  ASSERT_TRUE(server.has_value());
  cores.start();
  RawClient client((*server)->address());
  client.send(get("/a"));
  EXPECT_EQ(client.read_answer().status, 200);
  cores.stop();  // the connection's coroutine stays behind, suspended
  server->reset();
  registry.reset();
  service.reset();
}

}  // namespace
}  // namespace bulkhead::net
