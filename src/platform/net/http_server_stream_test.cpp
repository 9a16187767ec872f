// Bodies that stream, both ways, over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/net/http_server_fixture.h"

namespace bulkhead::net {
namespace {

using test::Answer;
using test::eventually;
using test::HttpServerTest;
using test::RawClient;

std::string head(std::string_view line, std::string_view fields = "") {
  return std::string(line) + " HTTP/1.1\r\nHost: test\r\n" + std::string(fields) + "\r\n";
}

TEST_F(HttpServerTest, StreamsARequestBodyOfAnyFraming) {
  service_.body_limit = 8_MiB;
  start();
  std::string body;
  for (int i = 0; i < 300'000; ++i) body += static_cast<char>(i * 31 % 251);
  std::size_t sum = 0;
  for (const char c : body) sum += static_cast<unsigned char>(c);
  const std::string expected = std::to_string(body.size()) + ' ' + std::to_string(sum);

  RawClient client(address());
  client.send(head("POST /stream/count", "Content-Length: " + std::to_string(body.size()) + "\r\n") + body);
  EXPECT_EQ(client.read_answer().body, expected);

  client.send(head("POST /stream/count", "Transfer-Encoding: chunked\r\n"));
  std::size_t size = 1;
  for (std::size_t at = 0; at < body.size(); at += size, size = size * 2 % 50'021) {
    size = std::min(size, body.size() - at);
    char line[32];
    std::snprintf(line, sizeof line, "%zx\r\n", size);
    client.send(line + body.substr(at, size) + "\r\n");
  }
  client.send("0\r\n\r\n" + head("GET /next"));
  EXPECT_EQ(client.read_answer().body, expected);
  EXPECT_EQ(client.read_answer().body, "hello /next");
}

TEST_F(HttpServerTest, AStreamedBodyOverItsLimitFailsTheRead) {
  start();
  RawClient client(address());
  client.send(head("POST /stream/count", "Transfer-Encoding: chunked\r\n") + "8000\r\n" + std::string(0x8000, 'x') +
              "\r\n8001\r\n");
  const Answer answer = client.read_answer();
  EXPECT_EQ(answer.status, 413) << "the handler's own answer";
  EXPECT_TRUE(answer.says_close());
  EXPECT_TRUE(client.sees_close());
}

TEST_F(HttpServerTest, AStreamedBodyThatStopsFailsTheReadInTime) {
  service_.body_deadline = Millis(150);
  start();
  RawClient client(address());
  client.send(head("POST /stream/count", "Content-Length: 10\r\n") + "abc");
  EXPECT_EQ(client.read_answer().status, 408);
  EXPECT_TRUE(client.sees_close());
}

TEST_F(HttpServerTest, DropsASmallUnreadBodyAndKeepsTheConnection) {
  start();
  RawClient client(address());
  client.send(head("POST /stream/ignore", "Content-Length: 5000\r\n"));
  const Answer early = client.read_answer();
  EXPECT_EQ(early.body, "ignored") << "answered before the body came";
  EXPECT_FALSE(early.says_close());
  client.send(std::string(5000, 'x') + head("GET /next"));
  EXPECT_EQ(client.read_answer().body, "hello /next");

  client.send(head("POST /stream/ignore", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n" +
              head("GET /after"));
  EXPECT_EQ(client.read_answer().body, "ignored");
  EXPECT_EQ(client.read_answer().body, "hello /after");
}

TEST_F(HttpServerTest, ClosesRatherThanReadALargeUnwantedBody) {
  service_.body_limit = 8_MiB;
  start();
  RawClient client(address());
  client.send(head("POST /stream/ignore", "Content-Length: 5000000\r\n") + std::string(500'000, 'x'));
  const Answer answer = client.read_answer();
  EXPECT_EQ(answer.body, "ignored");
  EXPECT_TRUE(answer.says_close());
}

TEST_F(HttpServerTest, StreamsAnAnswerInChunks) {
  start();
  RawClient client(address());
  client.send(head("GET /pieces?100") + head("GET /next"));
  const Answer answer = client.read_answer();
  EXPECT_EQ(answer.fields.at("transfer-encoding"), "chunked");
  EXPECT_FALSE(answer.fields.contains("content-length"));
  EXPECT_TRUE(answer.whole);
  std::string expected;
  for (int i = 0; i < 100; ++i) expected += "piece " + std::to_string(i) + "\n";
  EXPECT_EQ(answer.body, expected + std::string(100'000, 'B'));
  EXPECT_EQ(client.read_answer().body, "hello /next");
}

TEST_F(HttpServerTest, StreamsToAnHttp10ClientUntilTheClose) {
  start();
  RawClient client(address());
  client.send("GET /pieces?2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const Answer answer = client.read_answer();
  EXPECT_FALSE(answer.fields.contains("transfer-encoding"));
  EXPECT_TRUE(answer.says_close());
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(answer.body, "piece 0\npiece 1\n" + std::string(100'000, 'B'));
}

TEST_F(HttpServerTest, StreamsADeclaredLengthAndNotOneByteMore) {
  start();
  RawClient client(address());
  client.send(head("GET /length") + head("GET /next"));
  const Answer answer = client.read_answer();
  EXPECT_EQ(answer.fields.at("content-length"), "10");
  EXPECT_EQ(answer.body, "0123456789");
  EXPECT_TRUE(client.sees_close()) << "a source that is longer than it said is broken";
}

TEST_F(HttpServerTest, AnAbortedAnswerIsVisiblyCut) {
  start();
  RawClient client(address());
  client.send(head("GET /cut"));
  const Answer answer = client.read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.whole) << "no last chunk";

  RawClient old(address());
  old.send("GET /cut HTTP/1.0\r\n\r\n");
  EXPECT_FALSE(old.read_answer().whole) << "a reset, not an end";
}

TEST_F(HttpServerTest, AWriterLearnsThatTheClientHasLeft) {
  start();
  {
    RawClient client(address());
    client.send(head("GET /live"));
    ASSERT_TRUE(eventually([&] { return service_.handled == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return service_.write_failures == 1; }));
  EXPECT_TRUE(eventually([&] { return sample("http_server_connections_open") == 0; }));
}

}  // namespace
}  // namespace bulkhead::net
