#include "runner/http_api.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "protocol/execute_json.h"
#include "runner/runner_test_support.h"

namespace bulkhead::runner {
namespace {

using namespace testing;  // runner::testing
using ::testing::HasSubstr;

struct Answer {
  int status = 0;
  std::string head;
  std::string body;
};

// A blocking HTTP client on one keep-alive connection.
class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const timeval deadline{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  void send(std::string_view method, std::string_view path, std::string_view headers = {}, std::string_view body = {}) {
    const std::string text = std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nhost: runner\r\n" +
                             std::string(headers) + "content-length: " + std::to_string(body.size()) + "\r\n\r\n" +
                             std::string(body);
    ASSERT_TRUE(process::send_with_fd(socket_.get(), text, -1));
  }
  void send_raw(std::string_view text) { ASSERT_TRUE(process::send_with_fd(socket_.get(), text, -1)); }
  Answer receive() {
    Answer answer;
    std::size_t end = 0;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return answer;
    }
    answer.head = in_.substr(0, end);
    answer.status = std::stoi(answer.head.substr(9, 3));
    const std::size_t at = answer.head.find("content-length: ");
    const std::size_t size = at == std::string::npos ? 0 : std::stoul(answer.head.substr(at + 16));
    while (in_.size() < end + 4 + size) {
      if (!more()) return answer;
    }
    answer.body = in_.substr(end + 4, size);
    in_.erase(0, end + 4 + size);
    return answer;
  }
  Answer call(std::string_view method, std::string_view path, std::string_view headers = {},
              std::string_view body = {}) {
    send(method, path, headers, body);
    return receive();
  }

 private:
  bool more() {
    char piece[16'384];
    const ssize_t got = ::recv(socket_.get(), piece, sizeof piece, 0);
    if (got <= 0) return false;
    in_.append(piece, static_cast<std::size_t>(got));
    return true;
  }
  process::UniqueFd socket_;
  std::string in_;
};

class RunnerHttpTest : public ::testing::Test {
 protected:
  RunnerHttpTest() {
    SystemRandom random;
    keys_ = make_service_keys(random);
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener, 64), 0);
    socklen_t size = sizeof address;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    RunnerOptions options = small_options();
    options.http_listener = listener;
    options.service_key = keys_.public_key;
    runner_.emplace(maker_, options);
    client_.emplace(ntohs(address.sin_port));
    port_ = ntohs(address.sin_port);
  }

  std::string token(std::vector<TenantId> tenants = {}) const {
    const UtcMicros now = SystemClock().now();
    return "authorization: Bearer " +
           sign_service_token({.issuer = "test",
                               .audience = "runner",
                               .issued_at = now,
                               .expires_at = now + std::chrono::minutes(2),
                               .tenants = std::move(tenants)},
                              keys_.secret_key) +
           "\r\n";
  }
  void give(const SignedCode& code) {
    const auto need = runner_->end().receive();
    ASSERT_TRUE(need && need->type == FrameType::kNeedModule);
    std::string frame;
    protocol::append_module(frame, code.offer);
    const auto file = process::make_sealed_memfd("code", code.code);
    ASSERT_TRUE(runner_->end().send(frame, file->get()));
  }
  std::string body_for(const SignedCode& code) const { return protocol::serialize_execute_request(request_for(code)); }

  CodeMaker maker_;
  ServiceKeys keys_{};
  std::optional<RunningRunner> runner_;
  std::optional<Client> client_;
  std::uint16_t port_ = 0;
};

TEST_F(RunnerHttpTest, ExecutesForACallerWithAServiceToken) {
  const SignedCode hello = maker_.make("hello");
  client_->send("POST", "/v1/execute", token(), body_for(hello));
  give(hello);
  Answer answer = client_->receive();
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.head, HasSubstr("content-type: application/json"));
  EXPECT_THAT(answer.body, HasSubstr(R"({"status":200,"headers":{"content-type":"text/plain"},"body_b64":"aGVsbG8=")"));
  const auto parsed = protocol::parse_execute_response(answer.body);
  ASSERT_TRUE(parsed);
  EXPECT_GT(parsed->usage.wall_us, 0U);
  answer = client_->call("POST", "/v1/execute", token(), body_for(hello));
  EXPECT_EQ(answer.status, 200) << "another token on the same connection";
}

TEST_F(RunnerHttpTest, AnswersTwoHundredWithTheRealStatusInTheBodyOnceDispatched) {
  const SignedCode trap = maker_.make("trap");
  client_->send("POST", "/v1/execute", token(), body_for(trap));
  give(trap);
  const Answer answer = client_->receive();
  EXPECT_EQ(answer.status, 200);
  const auto parsed = protocol::parse_execute_response(answer.body);
  ASSERT_TRUE(parsed && parsed->error);
  EXPECT_EQ(parsed->status, 500);
  EXPECT_EQ(parsed->error->code, ErrorCode::kTrap);
}

TEST_F(RunnerHttpTest, OpensTheExecutionAtItsFirstHostCall) {
  const SignedCode code = maker_.make("one_storage_get");
  client_->send("POST", "/v1/execute", token(), body_for(code));
  give(code);
  const auto open = runner_->end().receive();
  ASSERT_TRUE(open && open->type == FrameType::kOpen);
  EXPECT_EQ(protocol::parse_open(open->payload)->content_hash, code.offer.content_hash);
  std::string frame;
  protocol::append_host_result(frame, open->id, {.response_json = "0123456789abcdef"});
  ASSERT_TRUE(runner_->end().send(frame));
  const auto call = runner_->end().receive();
  ASSERT_TRUE(call && call->type == FrameType::kHostCall);
  frame.clear();
  protocol::append_host_result(frame, call->id, {.response_json = R"({"value":2})"});
  ASSERT_TRUE(runner_->end().send(frame));
  EXPECT_EQ(protocol::parse_execute_response(client_->receive().body)->body, R"({"value":2})");
}

TEST_F(RunnerHttpTest, EndsTheCallOfAClientThatHasLeft) {
  const SignedCode code = maker_.make("one_storage_get");
  client_->send("POST", "/v1/execute", token(), body_for(code));
  give(code);
  const auto open = runner_->end().receive();
  ASSERT_TRUE(open && open->type == FrameType::kOpen);
  Client observer(port_);
  EXPECT_THAT(observer.call("GET", "/healthz").body, HasSubstr(R"("live":1)"));
  client_.reset();
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(4);  // the call itself has 5
  bool ended = false;
  while (!ended && std::chrono::steady_clock::now() < give_up) {
    ended = observer.call("GET", "/healthz").body.contains(R"("live":0)");
  }
  EXPECT_TRUE(ended);
}

TEST_F(RunnerHttpTest, RefusesCallersWithoutAGoodToken) {
  const SignedCode hello = maker_.make("hello");
  Answer answer = client_->call("POST", "/v1/execute", {}, body_for(hello));
  EXPECT_EQ(answer.status, 401);
  EXPECT_THAT(answer.head, HasSubstr("www-authenticate: Bearer"));
  std::string forged = token();
  forged[forged.size() - 10] = forged[forged.size() - 10] == 'A' ? 'B' : 'A';
  EXPECT_EQ(client_->call("POST", "/v1/execute", forged, body_for(hello)).status, 401);
  EXPECT_EQ(client_->call("POST", "/warmup", {}, "{}").status, 401);
  EXPECT_EQ(client_->call("POST", "/v1/execute", token() + token(), body_for(hello)).status, 401) << "two of them";
  const Answer other = client_->call("POST", "/v1/execute", token({tenant(99)}), body_for(hello));
  EXPECT_EQ(other.status, 403);
  EXPECT_THAT(other.body, HasSubstr("tenant_mismatch"));
}

TEST_F(RunnerHttpTest, RefusesRoutingHeadersThatDifferFromTheContext) {
  const SignedCode hello = maker_.make("hello");
  auto request = request_for(hello);
  std::get<protocol::HttpCall>(request.call).headers = {{"x-idempotency-key", "k1"}};
  const std::string body = protocol::serialize_execute_request(request);
  const std::string good = token() + "x-request-id: req-1\r\nx-alga-tenant: " + tenant(1).to_string() +
                           "\r\nx-alga-extension: 00000000-0000-0000-0000-000000000000\r\nx-idempotency-key: k1\r\n";
  client_->send("POST", "/v1/execute", good, body);
  give(hello);
  EXPECT_EQ(client_->receive().status, 200);
  for (const std::string wrong : {"x-request-id: req-2\r\n", "x-alga-tenant: 02000000-0000-0000-0000-000000000000\r\n",
                                  "x-alga-extension: orders\r\n", "x-idempotency-key: k2\r\n"}) {
    const Answer answer = client_->call("POST", "/v1/execute", token() + wrong, body);
    EXPECT_EQ(answer.status, 400) << wrong;
    EXPECT_THAT(answer.body, HasSubstr("routing_mismatch")) << wrong;
  }
}

TEST_F(RunnerHttpTest, RefusesBodiesThatAreNoRequestsOrTooLarge) {
  Answer answer = client_->call("POST", "/v1/execute", token(), R"({"context":{}})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("/context/tenant_id"));
  answer = client_->call("POST", "/v1/execute", token(), "{");
  EXPECT_EQ(answer.status, 400);
  Client large(port_);
  large.send_raw("POST /v1/execute HTTP/1.1\r\nhost: runner\r\n" + token() + "content-length: 14000001\r\n\r\n");
  EXPECT_EQ(large.receive().status, 413) << "before the body is read";
}

TEST_F(RunnerHttpTest, WarmsUpModules) {
  const SignedCode hello = maker_.make("hello");
  const std::string hash = hello.offer.content_hash.to_string();
  const std::string body = R"({"content_hashes":[")" + hash + R"("]})";
  Answer answer = client_->call("POST", "/warmup", token(), body);
  EXPECT_EQ(answer.status, 202);
  give(hello);
  // The next call finds it: no frame asks for it again.
  answer = client_->call("POST", "/v1/execute", token(), body_for(hello));
  EXPECT_EQ(protocol::parse_execute_response(answer.body)->body, "hello");
  answer = client_->call("POST", "/warmup", token(), body);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"ready":[")" + hash + R"("],"requested":[]})");
  EXPECT_EQ(client_->call("POST", "/warmup", token(), R"({"content_hashes":["x"]})").status, 400);
  EXPECT_EQ(client_->call("POST", "/warmup", token(), R"({})").status, 400);
}

TEST_F(RunnerHttpTest, ReportsHealthReadinessAndMetrics) {
  Answer answer = client_->call("GET", "/healthz");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("engine":{"up":true)"));
  EXPECT_THAT(answer.body, HasSubstr(R"("broker":{"reachable":true})"));
  EXPECT_THAT(answer.body, HasSubstr(R"("sandbox":[)"));
  EXPECT_EQ(client_->call("GET", "/readyz").status, 200);
  EXPECT_THAT(client_->call("GET", "/metrics").body, HasSubstr("runner_executions_live 0"));
  EXPECT_EQ(client_->call("GET", "/nothing").status, 404);
  answer = client_->call("GET", "/v1/execute");
  EXPECT_EQ(answer.status, 405);
  EXPECT_THAT(answer.head, HasSubstr("allow: POST"));
}

}  // namespace
}  // namespace bulkhead::runner
