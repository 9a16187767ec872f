// What a fetch may cost: bytes, time, failures of hosts, connections. Against real upstreams.
#include <gtest/gtest.h>
#include <poll.h>
#include <zlib.h>

#include "features/egress/room_testing.h"

namespace bulkhead::egress {
namespace {

using namespace std::string_literals;

// --- budgets -------------------------------------------------------------------------------------------------------
TEST_F(EgressTest, CountsWhatIsSentAndReceived) {
  std::size_t on_the_wire = 0;
  RawServer server([&](const auto& request) {
    auto text = request.head.starts_with("GET /1") ? redirect_to("/2") : answer_of(std::string(50'000, 'x'));
    on_the_wire += request.head.size() + 2 + request.body.size() + text.size();
    return text;
  });
  grant_loopback(server);
  answer({{"url", server.url("/1")}});
  answer({{"url", server.url("/3")}, {"method", "PUT"}, {"body", std::string(10'000, 'b')}});
  EXPECT_EQ(used(), on_the_wire);
  EXPECT_NE(registry_.render().find("egress_bytes_total " + std::to_string(on_the_wire)), std::string::npos);
  EXPECT_NE(registry_.render().find("egress_requests_total{result=\"ok\"} 2"), std::string::npos);
}

TEST_F(EgressTest, AnExecutionsBudgetEnds) {
  RawServer server([](const auto&) { return answer_of(std::string(60'000, 'x')); });
  auto limited = std::make_shared<extensions::InstalledExtension>(*install_);
  limited->limits.egress = 100'000_B;
  install_ = limited;
  grant_loopback(server);
  const json::value large{{"url", server.url("/")}, {"method", "POST"}, {"body", std::string(100'000, 'b')}};
  EXPECT_EQ(outcome(fetch(large)), "-8 quota_exceeded");
  EXPECT_EQ(used(), 0U);
  EXPECT_EQ(outcome(fetch(server.url("/"))), "0 ok");
  EXPECT_EQ(outcome(fetch(server.url("/"))), "-8 quota_exceeded");
  EXPECT_EQ(outcome(fetch(server.url("/"))), "-8 quota_exceeded");
  EXPECT_LT(used(), 200'000U);
  begin();
  EXPECT_EQ(outcome(fetch(server.url("/"))), "0 ok");
}

TEST_F(EgressTest, CallsAtTheSameTimeShareOneBudget) {
  std::promise<void> go;
  const auto gate = go.get_future().share();
  RawServer server([&](const auto&) {
    gate.wait();
    return answer_of(std::string(60'000, 'x'));
  });
  auto limited = std::make_shared<extensions::InstalledExtension>(*install_);
  limited->limits.egress = 200'000_B;
  install_ = limited;
  grant_loopback(server);
  std::vector<std::future<protocol::HostResult>> calls;
  calls.reserve(8);
  for (int i = 0; i < 8; ++i) calls.push_back(start({{"url", server.url("/")}}));
  go.set_value();
  int answered = 0;
  for (auto& call : calls) answered += call.get().code == HostCode::kOk ? 1 : 0;
  EXPECT_GE(answered, 1);
  EXPECT_LE(answered, 3);
  EXPECT_LT(used(), 200'000U + 8 * 70'000U);
}

TEST_F(EgressTest, BoundsOneAnswer) {
  std::string endless = "HTTP/1.1 200 OK\r\n\r\n";
  endless.resize(15'000'000, 'x');
  RawServer server([&](const auto& request) {
    if (request.head.starts_with("GET /endless")) return endless;
    return "HTTP/1.1 200 OK\r\nx: " + std::string(70'000, 'x') + "\r\n\r\n";
  });
  grant_loopback(server);
  EXPECT_EQ(outcome(fetch(server.url("/endless"))), "-5 response_too_large");
  EXPECT_LT(used(), 10'200'000U);
  EXPECT_EQ(outcome(fetch(server.url("/header"))), "-5 response_too_large");
}

TEST_F(EgressTest, BoundsWhatDecompressionMakes) {
  std::string zeros;
  zeros.resize(20'000'000);
  auto size = ::compressBound(zeros.size());
  std::string bomb(size, '\0');
  ASSERT_EQ(::compress(reinterpret_cast<Bytef*>(bomb.data()), &size, reinterpret_cast<const Bytef*>(zeros.data()),
                       zeros.size()),
            Z_OK);
  bomb.resize(size);
  RawServer server([&](const auto& request) {
    EXPECT_NE(request.head.find("Accept-Encoding: gzip"), std::string::npos);
    return answer_of(bomb, "content-encoding: deflate\r\n");
  });
  grant_loopback(server);
  EXPECT_EQ(outcome(fetch(server.url("/"))), "-5 response_too_large");
  EXPECT_LT(used(), 100'000U);
}

TEST_F(EgressTest, AGuestThatAsksForAnEncodingGetsItAsItIs) {
  RawServer server([](const auto&) { return answer_of("not gzip", "content-encoding: gzip\r\n"); });
  grant_loopback(server);
  const auto got = answer({{"url", server.url("/")}, {"headers", {{"accept-encoding", "gzip"}}}});
  EXPECT_EQ(body_of(got), "not gzip");
  EXPECT_EQ(got.at("headers").at("content-encoding"), "gzip");
  EXPECT_EQ(outcome(fetch(server.url("/"))), "-7 upstream_error");
}

// --- time ----------------------------------------------------------------------------------------------------------
TEST_F(EgressTest, HoldsTheTimeOfTheCallAndOfTheExecution) {
  std::promise<void> over;
  const auto finished = over.get_future().share();
  RawServer server([&](const auto&) {
    finished.wait();
    return answer_of("late");
  });
  grant_loopback(server);
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(outcome(fetch(json::value{{"url", server.url("/")}, {"timeout_ms", 80}})), "-6 timeout");
  begin(100ms);
  EXPECT_EQ(outcome(fetch(json::value{{"url", server.url("/")}, {"timeout_ms", 30'000}})), "-6 timeout");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  over.set_value();
}

// Sends a head, then a byte every 10 ms, for ever.
class DrippingServer {
 public:
  DrippingServer() : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    BH_ASSERT(listener_);
    BH_ASSERT(::bind(listener_.get(), generic, size) == 0 && ::listen(listener_.get(), 1) == 0);
    BH_ASSERT(::getsockname(listener_.get(), generic, &size) == 0);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      const process::UniqueFd peer(::accept(listener_.get(), nullptr, nullptr));
      if (!peer) return;
      pollfd gone{.fd = peer.get(), .events = POLLRDHUP, .revents = 0};
      ::send(peer.get(), "HTTP/1.1 200 OK\r\n\r\n", 19, MSG_NOSIGNAL);
      while (::send(peer.get(), "x", 1, MSG_NOSIGNAL) == 1 && ::poll(&gone, 1, 10) == 0) ++bytes;
    });
  }
  ~DrippingServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  DrippingServer(const DrippingServer&) = delete;
  DrippingServer& operator=(const DrippingServer&) = delete;
  std::uint16_t port = 0;
  std::atomic<int> bytes = 0;

 private:
  process::UniqueFd listener_;
  std::thread thread_;
};

TEST_F(EgressTest, AHostThatDripsDoesNotGetMoreTime) {
  const DrippingServer server;
  const auto authority = "127.0.0.1:" + std::to_string(server.port);
  grant({authority});
  EXPECT_EQ(outcome(fetch(json::value{{"url", "http://" + authority}, {"timeout_ms", 200}})), "-6 timeout");
  EXPECT_GT(server.bytes, 1);
}

// --- hosts that fail -----------------------------------------------------------------------------------------------
TEST_F(EgressTest, TellsWhatWentWrongWithoutAddresses) {
  RawServer server([](const auto&) { return "not http"s; });
  grant({"127.0.0.1:" + port(server), "127.0.0.1:1", "no-such-host.invalid"});
  for (const auto& url : {server.url("/"), "http://127.0.0.1:1/"s, "http://no-such-host.invalid/"s}) {
    const auto result = fetch(url);
    EXPECT_EQ(outcome(result), "-7 upstream_error") << url;
    EXPECT_EQ(result.response_json.find("127.0.0.1"), std::string::npos) << result.response_json;
  }
}

TEST_F(EgressTest, StopsAskingAHostThatKeepsFailing) {
  std::atomic<bool> healthy = false;
  std::atomic<int> requests = 0;
  RawServer server([&](const auto&) {
    ++requests;
    return healthy ? answer_of("fine") : answer_of("", "", "503 Service Unavailable");
  });
  ManualClock clock;
  options_.breaker = {.min_samples = 5, .open_time = Millis(1'000), .jitter = 0};
  names_["other.example"] = {"127.0.0.1"};
  grant({"127.0.0.1:" + port(server), "other.example:" + port(server)});
  service_ = std::make_unique<EgressService>(cores_, options_, clock, registry_);
  cores_.start();
  const auto call = [&] {  // as of the manual clock
    context_.execution->deadline = clock.steady_now() + 10s;
    return outcome(fetch(server.url("/")));
  };
  for (int i = 0; i < 5; ++i) EXPECT_EQ(call(), "0 ok");
  EXPECT_EQ(call(), "-7 upstream_unavailable");
  const auto refused = fetch(server.url("/"));
  EXPECT_EQ(error_of(refused, "retry_after_ms"), "1000");
  EXPECT_EQ(requests, 5);
  // Another name is another upstream.
  EXPECT_EQ(fetch("http://other.example:" + port(server)).code, HostCode::kOk);
  healthy = true;
  clock.advance(1s);
  EXPECT_EQ(call(), "0 ok");
  EXPECT_EQ(call(), "0 ok");
  EXPECT_EQ(requests, 8);
  EXPECT_NE(registry_.render().find("egress_breakers_opened_total 1"), std::string::npos);
  cores_.stop();
  service_.reset();
}

// --- connections ---------------------------------------------------------------------------------------------------
TEST_F(EgressTest, NeverSharesConnectionsBetweenInstallsOrOrganizations) {
  RawServer server([](const auto& request) { return answer_of(std::to_string(request.connection)); });
  const auto as = [&](TenantId tenant, InstallId install) {
    auto other = std::make_shared<extensions::InstalledExtension>(*install_);
    other->tenant_id = tenant;
    other->install_id = install;
    install_ = std::move(other);
    grant_loopback(server);
    return body_of(answer({{"url", server.url("/")}}));
  };
  const auto tenant_a = TenantId::v4(random_), tenant_b = TenantId::v4(random_);
  const auto one = InstallId::v4(random_), two = InstallId::v4(random_);
  EXPECT_EQ(as(tenant_a, one), "1");
  EXPECT_EQ(as(tenant_a, one), "1");
  EXPECT_EQ(as(tenant_a, two), "2");
  EXPECT_EQ(as(tenant_b, one), "3");
  EXPECT_EQ(as(tenant_a, one), "1");
}

TEST_F(EgressTest, BoundsTheCallsOfOneInstall) {
  std::promise<void> go;
  const auto gate = go.get_future().share();
  RawServer server([&](const auto&) {
    gate.wait();
    return answer_of("");
  });
  options_.max_in_flight_per_install = 4;
  grant_loopback(server);
  std::vector<std::future<protocol::HostResult>> calls;
  calls.reserve(4);
  for (int i = 0; i < 4; ++i) calls.push_back(start({{"url", server.url("/")}}));
  const auto refused = fetch(server.url("/"));
  EXPECT_EQ(outcome(refused), "-8 concurrency_exceeded");
  EXPECT_EQ(error_of(refused, "retry_after_ms"), "100");
  go.set_value();
  for (auto& call : calls) EXPECT_EQ(outcome(call.get()), "0 ok");
}

}  // namespace
}  // namespace bulkhead::egress
