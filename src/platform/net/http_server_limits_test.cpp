// Refusals, limits and time-outs of the edge (contracts/access.md, Edge), over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/net/http_server_fixture.h"

namespace bulkhead::net {
namespace {

using test::Answer;
using test::eventually;
using test::HttpServerTest;
using test::RawClient;
using testing::HasSubstr;

const std::string kHost = "Host: test\r\n";

struct RefusedCase {
  std::string name;
  std::string request;
  int status = 400;
};

std::vector<RefusedCase> refused_cases() {
  const std::string post = "POST /echo HTTP/1.1\r\n" + kHost;
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  return {
      // request smuggling forms
      {"Content-Length with Transfer-Encoding",
       post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"Transfer-Encoding with Content-Length",
       post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"},
      {"two different Content-Lengths", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"},
      {"two equal Content-Lengths", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"},
      {"a list of Content-Lengths", post + "Content-Length: 5, 5\r\n\r\nhello"},
      {"a signed Content-Length", post + "Content-Length: +5\r\n\r\nhello"},
      {"a negative Content-Length", post + "Content-Length: -5\r\n\r\nhello"},
      {"a hexadecimal Content-Length", post + "Content-Length: 0x5\r\n\r\nhello"},
      {"an empty Content-Length", post + "Content-Length: \r\n\r\nhello"},
      {"a Content-Length beyond 64 bits", post + "Content-Length: 99999999999999999999\r\n\r\nhello"},
      {"bare line feeds", "GET / HTTP/1.1\nHost: test\n\n"},
      {"a bare line feed in a field", "GET / HTTP/1.1\r\n" + kHost + "A: b\nC: d\r\n\r\n"},
      {"a bare line feed at the end", "GET / HTTP/1.1\r\n" + kHost + "\n"},
      {"a bare carriage return in a field", "GET / HTTP/1.1\r\n" + kHost + "A: b\rC: d\r\n\r\n"},
      {"a folded line", "GET / HTTP/1.1\r\n" + kHost + "A: b\r\n c\r\n\r\n"},
      {"a line folded with a tab", "GET / HTTP/1.1\r\n" + kHost + "A: b\r\n\tc\r\n\r\n"},
      {"white space before the first field", "GET / HTTP/1.1\r\n " + kHost + "\r\n"},
      {"white space before a colon", "GET / HTTP/1.1\r\n" + kHost + "Content-Length : 5\r\n\r\nhello"},
      {"a field without a colon", "GET / HTTP/1.1\r\n" + kHost + "nothing\r\n\r\n"},
      {"a field without a name", "GET / HTTP/1.1\r\n" + kHost + ": x\r\n\r\n"},
      {"a control character in a field name", "GET / HTTP/1.1\r\n" + kHost + "A\x01: b\r\n\r\n"},
      {"a control character in a value", "GET / HTTP/1.1\r\n" + kHost + "A: b\x01\r\n\r\n"},
      {"DEL in a value", "GET / HTTP/1.1\r\n" + kHost + "A: b\x7f\r\n\r\n"},
      {"NUL in a value", "GET / HTTP/1.1\r\n" + kHost + std::string("A: b\0c\r\n\r\n", 10)},
      {"another transfer coding", post + "Transfer-Encoding: gzip\r\n\r\n"},
      {"a list of transfer codings", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
      {"chunked not last", post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"},
      {"chunked twice", post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"},
      {"two Transfer-Encodings", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"},
      {"a misspelt chunked", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
      {"a quoted chunked", post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"},
      {"a vertical tab before chunked", post + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n"},
      {"an empty Transfer-Encoding", post + "Transfer-Encoding:\r\n\r\n"},
      {"Transfer-Encoding on HTTP/1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      // chunks
      {"a chunk size that is no number", chunked + "z\r\nhello\r\n0\r\n\r\n"},
      {"an empty chunk size", chunked + "\r\nhello\r\n0\r\n\r\n"},
      {"a negative chunk size", chunked + "-5\r\nhello\r\n0\r\n\r\n"},
      {"a chunk size with a prefix", chunked + "0x5\r\nhello\r\n0\r\n\r\n"},
      {"a chunk size beyond 64 bits", chunked + "10000000000000005\r\nhello\r\n0\r\n\r\n"},
      {"white space after a chunk size", chunked + "5 \r\nhello\r\n0\r\n\r\n"},
      {"a chunk longer than its size", chunked + "5\r\nhello!\r\n0\r\n\r\n"},
      {"a bare line feed after a chunk size", chunked + "5\nhello\r\n0\r\n\r\n"},
      {"a bare line feed after a chunk", chunked + "5\r\nhello\n0\r\n\r\n"},
      {"a line feed in a quoted chunk extension", chunked + "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"},
      {"a chunk extension that is too long", chunked + "5;a=" + std::string(5000, 'x') + "\r\nhello\r\n0\r\n\r\n"},
      {"a chunk size of 17 digits", chunked + "00000000000000005\r\nhello\r\n0\r\n\r\n"},
      {"a trailer without a name", chunked + "0\r\n: x\r\n\r\n"},
      {"a trailer without a colon", chunked + "0\r\nabc\r\n\r\n"},
      {"a folded trailer", chunked + "0\r\na: b\r\n c\r\n\r\n"},
      {"a bare line feed in a trailer", chunked + "0\r\na: b\nc: d\r\n\r\n"},
      {"a bare line feed at the end of the trailers", chunked + "0\r\na: b\r\n\n"},
      {"a trailer section that is too long", chunked + "0\r\n" + std::string(20'000, 'a') + ": b\r\n\r\n"},
      // request lines and Host
      {"no Host", "GET / HTTP/1.1\r\n\r\n"},
      {"two Hosts", "GET / HTTP/1.1\r\n" + kHost + kHost + "\r\n"},
      {"two Hosts on HTTP/1.0", "GET / HTTP/1.0\r\n" + kHost + kHost + "\r\n"},
      {"a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {"a Host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"},
      {"a Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
      {"a list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"},
      {"an absolute target without a host", "GET http:///a HTTP/1.1\r\n" + kHost + "\r\n"},
      {"an absolute target with a user", "GET http://a@b/ HTTP/1.1\r\n" + kHost + "\r\n"},
      {"another scheme", "GET ftp://a/ HTTP/1.1\r\n" + kHost + "\r\n"},
      {"a target without a slash", "GET a HTTP/1.1\r\n" + kHost + "\r\n"},
      {"a star that is not OPTIONS", "GET * HTTP/1.1\r\n" + kHost + "\r\n"},
      {"CONNECT", "CONNECT a:443 HTTP/1.1\r\n" + kHost + "\r\n"},
      {"a fragment in the target", "GET /a#b HTTP/1.1\r\n" + kHost + "\r\n"},
      {"a control character in the target", "GET /a\x01 HTTP/1.1\r\n" + kHost + "\r\n"},
      {"two spaces in the request line", "GET  / HTTP/1.1\r\n" + kHost + "\r\n"},
      {"a space at the end of the request line", "GET / HTTP/1.1 \r\n" + kHost + "\r\n"},
      {"HTTP/0.9", "GET /\r\n\r\n"},
      {"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {"HTTP/1.2", "GET / HTTP/1.2\r\n" + kHost + "\r\n"},
      {"lower-case http", "GET / http/1.1\r\n" + kHost + "\r\n"},
      {"a method that is no token", "G(T / HTTP/1.1\r\n" + kHost + "\r\n"},
      {"a method that is too long", std::string(40, 'A') + " / HTTP/1.1\r\n" + kHost + "\r\n"},
      {"two empty lines before the request", "\r\n\r\nGET / HTTP/1.1\r\n" + kHost + "\r\n"},
      {"a TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 12)},
      // sizes
      {"a head that is too large", "GET / HTTP/1.1\r\n" + kHost + "A: " + std::string(17'000, 'x') + "\r\n\r\n", 431},
      {"a head without an end", "GET / HTTP/1.1\r\n" + kHost + "A: " + std::string(17'000, 'x'), 431},
      {"too many fields",
       [] {
         std::string text = "GET / HTTP/1.1\r\n" + kHost;
         for (int i = 0; i < 3500; ++i) text += "a:b\r\n";
         return text + "\r\n";
       }(),
       431},
      {"a target that is too long", "GET /" + std::string(8192, 'x') + " HTTP/1.1\r\n" + kHost + "\r\n", 414},
      {"a target without an end", "GET /" + std::string(20'000, 'x'), 414},
      {"a body that is too large by its length", post + "Content-Length: 65537\r\n\r\n", 413},
      {"a chunk that is too large by its size", chunked + "10001\r\n", 413},
      {"chunks that are too large together", chunked + "8000\r\n" + std::string(0x8000, 'x') + "\r\n8001\r\n", 413},
  };
}

TEST_F(HttpServerTest, RefusesMalformedAndOversizedRequestsAndCloses) {
  start();
  for (const auto& c : refused_cases()) {
    SCOPED_TRACE(c.name);
    RawClient client(address());
    // What follows is a request of its own only for a server that misread the first.
    client.send(c.request + "GET /smuggled HTTP/1.1\r\n" + kHost + "\r\n");
    const Answer answer = client.read_answer();
    EXPECT_EQ(answer.status, c.status);
    EXPECT_TRUE(answer.says_close());
    EXPECT_EQ(answer.fields.at("content-type"), "application/problem+json");
    EXPECT_TRUE(client.sees_close());
  }
  EXPECT_EQ(service_.handled, 0);
  EXPECT_EQ(static_cast<std::size_t>(service_.refused), refused_cases().size());
  EXPECT_GT(sample("http_server_refused_total{code=\"bad_request\"}"), 40);
  EXPECT_EQ(sample("http_server_refused_total{code=\"uri_too_long\"}"), 2);
}

TEST_F(HttpServerTest, AcceptsWhatIsUnusualButUnambiguous) {
  start();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"one empty line before the request", "\r\nGET /a HTTP/1.1\r\n" + kHost + "\r\n"},
      {"an empty Host", "GET /a HTTP/1.1\r\nHost:\r\n\r\n"},
      {"an IPv6 Host", "GET /a HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"},
      {"no Host on HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n"},
      {"OPTIONS *", "OPTIONS * HTTP/1.1\r\n" + kHost + "\r\n"},
      {"an unknown method", "BREW /a HTTP/1.1\r\n" + kHost + "\r\n"},
      {"empty values and tabs", "GET /a HTTP/1.1\r\n" + kHost + "A:\r\nB:\t x y \t\r\n\r\n"},
      {"bytes beyond ASCII in a value", "GET /a HTTP/1.1\r\n" + kHost + "A: \xc3\xa9\xff\r\n\r\n"},
      {"Chunked in another case", "POST /echo HTTP/1.1\r\n" + kHost + "transfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n"},
      {"upper-case chunk sizes and leading zeros",
       "POST /echo HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n00A;x\r\n0123456789\r\n000\r\n\r\n"},
      {"trailers, which are dropped",
       "POST /echo HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\nA:\r\n\r\n"},
      {"a body of exactly the limit",
       "POST /echo HTTP/1.1\r\n" + kHost + "Content-Length: 65536\r\n\r\n" + std::string(65'536, 'x')},
      {"a target of exactly the limit", "GET /" + std::string(8191, 'x') + " HTTP/1.1\r\n" + kHost + "\r\n"},
      {"a body on GET", "GET /a HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\n\r\nhello"},
  };
  for (const auto& [name, request] : cases) {
    RawClient client(address());
    client.send(request);
    EXPECT_EQ(client.read_answer().status, 200) << name;
  }
  EXPECT_EQ(service_.refused, 0);
}

TEST_F(HttpServerTest, AcceptsAHeadOfExactlyTheLimitAndNotOneByteMore) {
  start();
  for (const std::size_t excess : {0UZ, 1UZ}) {
    std::string head = "GET /a HTTP/1.1\r\n" + kHost + "A: ";
    head += std::string(16'384 + excess - head.size() - 4, 'x') + "\r\n\r\n";
    RawClient client(address());
    client.send(head);
    EXPECT_EQ(client.read_answer().status, excess == 0 ? 200 : 431);
  }
}

TEST_F(HttpServerTest, RefusesATooLargeBodyWithoutAskingForIt) {
  start();
  RawClient client(address());
  client.send("POST /echo HTTP/1.1\r\n" + kHost + "Content-Length: 100000000\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_answer().status, 413) << "and no 100 Continue before it";
  EXPECT_TRUE(client.sees_close());
}

TEST_F(HttpServerTest, RefusesAHeadRequestWithoutABody) {
  start();
  RawClient client(address());
  client.send("HEAD /echo HTTP/1.1\r\n" + kHost + "Content-Length: 100000000\r\n\r\n");
  EXPECT_EQ(client.read_answer("HEAD").status, 413);
  EXPECT_TRUE(client.sees_close()) << "nothing after the head";
}

TEST_F(HttpServerTest, TheRefusalArrivesAlthoughTheClientIsStillSending) {
  start();
  for (int i = 0; i < 20; ++i) {
    RawClient client(address());
    client.send("POST /echo HTTP/1.1\r\n" + kHost + "Content-Length: 800000\r\n\r\n");
    for (int piece = 0; piece < 100; ++piece) EXPECT_TRUE(client.send(std::string(8000, 'x')));
    EXPECT_EQ(client.read_answer().status, 413);
    EXPECT_TRUE(client.sees_close());
    EXPECT_FALSE(client.was_reset()) << "a reset may destroy the answer on its way";
  }
}

// --- Expect: 100-continue ----------------------------------------------------------------------------------------
TEST_F(HttpServerTest, SendsContinueOnceTheBodyIsWanted) {
  start();
  RawClient client(address());
  client.send("POST /echo HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n");
  EXPECT_EQ(client.read_answer().status, 100);
  client.send("hello");
  EXPECT_EQ(client.read_answer().body, "hello");
  client.send("POST /echo HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_answer().status, 100);
  client.send("5\r\nhello\r\n0\r\n\r\n");
  EXPECT_EQ(client.read_answer().body, "hello");
}

TEST_F(HttpServerTest, SendsNoContinueWhenTheBodyIsThereOrUnwanted) {
  start();
  RawClient client(address());
  client.send("POST /echo HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");
  EXPECT_EQ(client.read_answer().body, "hello");
  client.send("POST /stream/ignore HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  const Answer answer = client.read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.says_close()) << "nobody knows whether the body will come";
}

// --- time-outs ---------------------------------------------------------------------------------------------------
TEST_F(HttpServerTest, AnswersSlowHeadsWith408) {
  options_.header_timeout = Millis(150);
  start();
  RawClient client(address());
  client.send("GET / HTTP/1.1\r\nHost: te");
  const Answer answer = client.read_answer();
  EXPECT_EQ(answer.status, 408);
  EXPECT_TRUE(client.sees_close());
}

TEST_F(HttpServerTest, AHeadThatKeepsDrippingStillRunsOutOfTime) {
  options_.header_timeout = Millis(300);
  start();
  RawClient client(address());
  client.send("GET / HTTP/1.1\r\n");
  std::atomic<bool> answered{false};
  std::thread dripper([&] {
    while (!answered && client.send("A: b\r\n")) std::this_thread::sleep_for(Millis(20));
  });
  EXPECT_EQ(client.read_answer().status, 408);
  answered = true;
  dripper.join();
}

TEST_F(HttpServerTest, AnswersSlowBodiesWith408) {
  service_.body_deadline = Millis(150);
  start();
  for (const std::string framing : {"Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"}) {
    RawClient client(address());
    client.send("POST /echo HTTP/1.1\r\n" + kHost + framing);
    EXPECT_EQ(client.read_answer().status, 408) << framing;
    EXPECT_TRUE(client.sees_close());
  }
  EXPECT_EQ(service_.handled, 0);
}

TEST_F(HttpServerTest, ClosesIdleConnectionsWithoutAWord) {
  options_.idle_timeout = Millis(150);
  start();
  RawClient fresh(address()), used(address());
  used.send("GET /a HTTP/1.1\r\n" + kHost + "\r\n");
  EXPECT_EQ(used.read_answer().status, 200);
  EXPECT_TRUE(used.sees_close());
  EXPECT_TRUE(fresh.sees_close());
  EXPECT_EQ(service_.refused, 0);
}

TEST_F(HttpServerTest, AHandlerMayTakeLongerThanTheTimeOutsOfTheEdge) {
  options_.idle_timeout = options_.header_timeout = options_.write_timeout = Millis(100);
  start();
  RawClient client(address());
  client.send("GET /wait HTTP/1.1\r\n" + kHost + "\r\n");
  ASSERT_TRUE(eventually([&] { return service_.waiting == 1; }));
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(eventually([&] { return std::chrono::steady_clock::now() - begin > Millis(400); }));
  service_.released = true;
  EXPECT_EQ(client.read_answer().body, "released");
}

TEST_F(HttpServerTest, GivesUpOnClientsThatDoNotReadTheirAnswer) {
  options_.write_timeout = Millis(150);
  start();
  RawClient buffered(address()), streamed(address());
  buffered.send("GET /large HTTP/1.1\r\n" + kHost + "\r\n");
  streamed.send("GET /live HTTP/1.1\r\n" + kHost + "\r\n");
  EXPECT_TRUE(eventually([&] { return service_.handled == 2; }));
  EXPECT_TRUE(eventually([&] { return sample("http_server_connections_open") == 0; }));
  EXPECT_EQ(service_.write_failures, 1);
}

// --- connections -------------------------------------------------------------------------------------------------
TEST_F(HttpServerTest, TellsConnectionsBeyondTheLimitThatItIsFull) {
  options_.max_connections = 4;
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<RawClient>(address()));
    clients.back()->send("GET /a HTTP/1.1\r\n" + kHost + "\r\n");
    EXPECT_EQ(clients.back()->read_answer().status, 200);
  }
  {
    RawClient fifth(address());
    fifth.send("GET /a HTTP/1.1\r\n" + kHost + "\r\n");
    const Answer answer = fifth.read_answer();
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.fields.at("retry-after"), "1");
    EXPECT_TRUE(fifth.sees_close());
  }
  clients.clear();
  ASSERT_TRUE(eventually([&] { return sample("http_server_connections_open") == 0; }));
  RawClient again(address());
  again.send("GET /a HTTP/1.1\r\n" + kHost + "\r\n");
  EXPECT_EQ(again.read_answer().status, 200);
}

}  // namespace
}  // namespace bulkhead::net
