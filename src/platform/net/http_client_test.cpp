// Against real servers on loopback: a small one on plain sockets that does exactly what each test says, byte for byte,
// and OpenSSL's for TLS.
#include "platform/net/http_client.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <filesystem>
#include <future>

#include "base/ids.h"
#include "platform/net/http_client_test_server.h"
#include "platform/net/ssrf_guard.h"
#include "platform/process/child_process.h"
#include "platform/process/file.h"

namespace bulkhead::net {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using process::UniqueFd;

std::string ok(std::string_view body, std::string_view headers = {}) {
  return "HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(body.size()) + "\r\n" + std::string(headers) + "\r\n" +
         std::string(body);
}

Task<> deliver(HttpClient& client, ClientRequest request, std::promise<Result<ClientResponse>>* into) {
  into->set_value(co_await client.send(std::move(request)));
}

class HttpClientTest : public testing::Test {
 protected:
  HttpClientTest() : client_(make_http_client(cores_.at(0), {.max_in_flight_per_pool = 40})) { cores_.start(); }
  ~HttpClientTest() override {
    client_.reset();
    cores_.stop();
  }
  std::future<Result<ClientResponse>> begin(ClientRequest request) {
    auto result = std::make_shared<std::promise<Result<ClientResponse>>>();
    auto future = result->get_future();
    asio::co_spawn(cores_.at(0).executor(), deliver(*client_, std::move(request), result.get()),
                   [result](const std::exception_ptr&) {});
    return future;
  }
  Result<ClientResponse> send(ClientRequest request) { return begin(std::move(request)).get(); }
  ErrorCode error_of(ClientRequest request) {
    const auto result = send(std::move(request));
    return result ? ErrorCode::kNotImplemented : result.error().code;
  }
  std::string path(std::string_view name) const { return directory_.path() + "/" + std::string(name); }

  process::TemporaryDirectory directory_ = std::move(*process::TemporaryDirectory::create("http-client"));
  Cores cores_{1};
  std::unique_ptr<HttpClient> client_;
};

TEST_F(HttpClientTest, ReturnsStatusHeadersAndBody) {
  RawServer server([](const auto&) {
    return "HTTP/1.1 100 Continue\r\nx-early: 1\r\n\r\nHTTP/1.1 418 I'm a teapot\r\nX-One: a\r\nx-one:  b "
           "\r\nx-empty:\r\n"
           "content-length: 4\r\n\r\nbody";
  });
  const auto answer = send({.url = server.url("/")}).value();
  EXPECT_EQ(answer.status, 418);
  EXPECT_EQ(answer.body, "body");
  EXPECT_EQ(answer.headers.count("x-one"), 2U);
  EXPECT_EQ(answer.headers.find("X-ONE"), "a");
  EXPECT_EQ(answer.headers.find("x-empty"), "");
  EXPECT_FALSE(answer.headers.find("x-early"));
}

TEST_F(HttpClientTest, SendsMethodPathHeadersAndBodyAsGiven) {
  std::promise<RawServer::Seen> seen;
  RawServer server([&](const auto& request) {
    seen.set_value(request);
    return ok("");
  });
  ClientRequest request{.method = "PATCH", .url = server.url("/a/../b//c?d=e&f"), .body = std::string("x\0y", 3)};
  request.headers.add("x-test", "value");
  request.headers.add("x-empty", "");
  ASSERT_TRUE(send(std::move(request)));
  const auto [head, body, connection] = seen.get_future().get();
  EXPECT_TRUE(head.starts_with("PATCH /a/../b//c?d=e&f HTTP/1.1\r\n")) << head;
  EXPECT_EQ(body, std::string("x\0y", 3));
  EXPECT_NE(head.find("\r\nx-test: value\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("\r\nx-empty:\r\n"), std::string::npos) << head;
  for (const auto* added : {"Content-Type", "Expect", "Authorization", "Accept-Encoding", "Cookie"}) {
    EXPECT_EQ(head.find(added), std::string::npos) << head;
  }
}

TEST_F(HttpClientTest, KeepsItsOwnFieldsToItself) {
  std::promise<std::string> seen;
  RawServer server([&](const auto& request) {
    seen.set_value(request.head);
    return ok("");
  });
  ClientRequest request{.method = "POST", .url = server.url("/"), .body = "four"};
  for (const auto* name : {"Host", "Content-Length", "transfer-encoding", "Connection", "Expect", "TE", "Upgrade",
                           "Proxy-Authorization"}) {
    request.headers.add(name, "forged");
  }
  ASSERT_TRUE(send(std::move(request)));
  const auto head = seen.get_future().get();
  EXPECT_EQ(head.find("forged"), std::string::npos) << head;
  EXPECT_NE(head.find("Host: 127.0.0.1:" + std::to_string(server.port())), std::string::npos) << head;
  EXPECT_NE(head.find("Content-Length: 4\r\n"), std::string::npos) << head;
}

TEST_F(HttpClientTest, RefusesFieldsAndMethodsThatWouldBreakTheRequest) {
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{{"x", "a\r\nevil: 1"},
                                                                                    {"x", "a\nb"},
                                                                                    {"x", std::string("a\0b", 3)},
                                                                                    {"x y", "a"},
                                                                                    {"", "a"},
                                                                                    {"x:", "a"},
                                                                                    {"x\r\nevil", "a"}}) {
    ClientRequest request{.url = "http://127.0.0.1:1/"};
    request.headers.add(name, value);
    EXPECT_EQ(error_of(std::move(request)), ErrorCode::kBadRequest) << name << "=" << value;
  }
  for (const auto* method : {"", "GET /", "G\r\nT", "G(T"}) {
    EXPECT_EQ(error_of({.method = method, .url = "http://127.0.0.1:1/"}), ErrorCode::kBadRequest) << method;
  }
}

TEST_F(HttpClientTest, RefusesUrlsThatAreNotPlainHttp) {
  for (const std::string url :
       {"", "/relative", "example.com/no-scheme", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/",
        "http://", "http:///path", "http:/127.0.0.1/", "http:127.0.0.1", "http://127.0.0.1\\@example.com/",
        "http://user:pass@127.0.0.1/", "http://user@127.0.0.1/", "http://127.0.0.1:99999/", "http://a b/",
        "http://127.0.0.1/\n", "http://127.0.0.1/\x01", "http://\xC3\xA9.example/", "javascript:alert(1)"}) {
    EXPECT_EQ(error_of({.url = url}), ErrorCode::kBadRequest) << url;
  }
}

TEST_F(HttpClientTest, PoolsConnectionsPerKeyOnly) {
  RawServer server([](const auto& request) { return ok(std::to_string(request.connection)); });
  const auto connection = [&](std::string pool, bool guarded) {
    ClientRequest request{.url = server.url("/"), .pool = std::move(pool)};
    if (guarded) request.dial_guard = [](const auto&, auto) { return Status{}; };
    return send(std::move(request)).value().body;
  };
  const auto first = connection("tenant-a", true);
  EXPECT_EQ(connection("tenant-a", true), first);
  EXPECT_NE(connection("tenant-b", true), first);
  EXPECT_NE(connection("tenant-a", false), first);
  EXPECT_EQ(connection("tenant-a", true), first);
  EXPECT_EQ(server.connections(), 3);
}

TEST_F(HttpClientTest, SendsAgainWhenAKeptConnectionWasClosed) {
  RawServer server([](const auto&) { return ok("here", "connection: keep-alive\r\nx: connection: close\r\n"); });
  EXPECT_EQ(send({.url = server.url("/")})->body, "here");
  ASSERT_TRUE(server.wait_for_closed(1));
  EXPECT_EQ(send({.url = server.url("/")})->body, "here");
}

TEST_F(HttpClientTest, FollowsNoRedirect) {
  RawServer server([](const auto&) {
    return "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
  });
  const auto answer = send({.url = server.url("/")}).value();
  EXPECT_EQ(answer.status, 302);
  EXPECT_EQ(answer.headers.find("location"), "http://169.254.169.254/");
}

TEST_F(HttpClientTest, IgnoresProxiesOfTheEnvironment) {
  RawServer server([](const auto&) { return ok("direct"); });
  for (const auto* name : {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}) {
    ::setenv(name, "http://127.0.0.1:1", 1);
  }
  EXPECT_EQ(send({.url = server.url("/")})->body, "direct");
  for (const auto* name : {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}) ::unsetenv(name);
}

TEST_F(HttpClientTest, AsksTheGuardForTheAddressDialledAfterDns) {
  RawServer server([](const auto&) { return ok("secret"); });
  const SsrfGuard guard({});
  for (const auto& host : {"127.0.0.1", "localhost", "0x7f000001", "2130706433", "127.1", "[::1]", "[::ffff:7f00:1]",
                           "0", "0.0.0.0", "[::]"}) {
    const auto result = send({.url = "http://" + std::string(host) + ":" + std::to_string(server.port()) + "/",
                              .dial_guard = guard.dial_guard()});
    ASSERT_FALSE(result) << host;
    EXPECT_EQ(result.error().code, ErrorCode::kTargetDenied) << host << " " << result.error().to_log_string();
  }
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(HttpClientTest, TellsTheGuardTheAddressAndPort) {
  RawServer server([](const auto&) { return ok(""); });
  std::optional<std::pair<std::string, std::uint16_t>> dialled;
  ASSERT_TRUE(send({.url = server.url("/"), .dial_guard = [&](const auto& address, auto port) {
                      dialled.emplace(address.to_string(), port);
                      return Status{};
                    }}));
  EXPECT_EQ(dialled, std::pair("127.0.0.1"s, server.port()));
}

TEST_F(HttpClientTest, TellsARefusedAddressFromARefusedConnection) {
  const SsrfGuard guard({.refusal = ErrorCode::kCapabilityDenied});
  EXPECT_EQ(error_of({.url = "http://127.0.0.1:1/", .dial_guard = guard.dial_guard()}), ErrorCode::kCapabilityDenied);
  EXPECT_EQ(error_of({.url = "http://127.0.0.1:1/"}), ErrorCode::kUnavailable);
  EXPECT_EQ(error_of({.url = "http://no-such-host.invalid/"}), ErrorCode::kUnavailable);
}

TEST_F(HttpClientTest, HoldsItsDeadline) {
  std::promise<void> done;
  const auto finished = done.get_future().share();
  RawServer server([&](const auto&) {
    finished.wait();
    return std::string();
  });
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(error_of({.url = server.url("/"), .timeout = 50ms}), ErrorCode::kDeadlineExceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  done.set_value();
  for (const auto none : {0ms, -1ms}) {
    EXPECT_EQ(error_of({.url = server.url("/"), .timeout = none}), ErrorCode::kDeadlineExceeded);
  }
}

TEST_F(HttpClientTest, SaysWhenTheAnswerBreaksOff) {
  for (const std::string answer :
       {"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nx: connection: close\r\n\r\nshort",
        "not http at all connection: close",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx: connection: close\r\n\r\nZZ\r\n", ""}) {
    RawServer server([&](const auto&) { return answer; });
    EXPECT_EQ(error_of({.url = server.url("/")}), ErrorCode::kUnavailable) << answer;
  }
}

TEST_F(HttpClientTest, CapsBodyAndHeader) {
  RawServer server([](const auto& request) {
    if (request.head.starts_with("GET /header")) return ok("", "x: " + std::string(70'000, 'x') + "\r\n");
    if (request.head.starts_with("GET /many")) {
      std::string many;
      for (int i = 0; i < 5'000; ++i) many += "x-" + std::to_string(i) + ": 0123456789\r\n";
      return ok("", many);
    }
    return ok(std::string(1000, 'x'));
  });
  EXPECT_TRUE(send({.url = server.url("/"), .response_limit = Bytes{1000}}));
  EXPECT_EQ(error_of({.url = server.url("/"), .response_limit = Bytes{999}}), ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(error_of({.url = server.url("/header")}), ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(error_of({.url = server.url("/many")}), ErrorCode::kPayloadTooLarge);
}

TEST_F(HttpClientTest, ReadsChunkedBodiesAndDropsTrailers) {
  RawServer server([](const auto&) {
    return "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nx-trailer: 1\r\n\r\n";
  });
  const auto answer = send({.url = server.url("/")}).value();
  EXPECT_EQ(answer.body, "abcdefg");
  EXPECT_FALSE(answer.headers.find("x-trailer"));
}

TEST_F(HttpClientTest, LeavesContentEncodingAlone) {
  RawServer server([](const auto&) { return ok("not really gzip", "content-encoding: gzip\r\n"); });
  EXPECT_EQ(send({.url = server.url("/")})->body, "not really gzip");
}

TEST_F(HttpClientTest, AnswersHeadWithoutABody) {
  RawServer server([](const auto&) { return "HTTP/1.1 200 OK\r\ncontent-length: 123456789\r\n\r\n"; });
  const auto answer = send({.method = "HEAD", .url = server.url("/"), .response_limit = 10_B}).value();
  EXPECT_EQ(answer.headers.find("content-length"), "123456789");
}

TEST_F(HttpClientTest, SendsContentLengthZeroWhereAMethodExpectsABody) {
  std::promise<std::string> seen;
  RawServer server([&](const auto& request) {
    seen.set_value(request.head);
    return ok("");
  });
  ASSERT_TRUE(send({.method = "PUT", .url = server.url("/")}));
  EXPECT_NE(seen.get_future().get().find("Content-Length: 0\r\n"), std::string::npos);
}

TEST_F(HttpClientTest, StreamsFilesBothWays) {
  std::string content(5'000'000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 13 + i / 509);
  ASSERT_TRUE(process::write_file_atomically(path("up"), content));
  RawServer server([](const auto& request) { return ok(request.body); });
  const auto answer =
      send({.method = "PUT", .url = server.url("/"), .upload_file = path("up"), .download_file = path("down")});
  ASSERT_TRUE(answer) << answer.error().to_log_string();
  EXPECT_TRUE(answer->body.empty());
  EXPECT_TRUE(process::read_file(path("down"), 64_MiB).value() == content);
}

TEST_F(HttpClientTest, DownloadsEmptyFiles) {
  RawServer server([](const auto&) { return ok(""); });
  ASSERT_TRUE(send({.url = server.url("/"), .download_file = path("empty")}));
  EXPECT_EQ(process::read_file(path("empty"), 1_KiB).value(), "");
}

TEST_F(HttpClientTest, LeavesNoFileOfAFailedDownload) {
  RawServer server([](const auto& request) {
    if (request.head.starts_with("GET /404")) return "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnone"s;
    if (request.head.starts_with("GET /big")) return ok(std::string(10'000, 'x'));
    return "HTTP/1.1 200 OK\r\ncontent-length: 10\r\nx: connection: close\r\n\r\nshort"s;
  });
  const auto missing = send({.url = server.url("/404"), .download_file = path("file")}).value();
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.body, "none");
  EXPECT_EQ(error_of({.url = server.url("/big"), .download_file = path("file"), .response_limit = 1_KiB}),
            ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(error_of({.url = server.url("/cut"), .download_file = path("file")}), ErrorCode::kUnavailable);
  EXPECT_FALSE(std::filesystem::exists(path("file")));
  ASSERT_TRUE(process::write_file_atomically(path("there"), "mine"));
  EXPECT_EQ(error_of({.url = server.url("/big"), .download_file = path("there")}), ErrorCode::kAlreadyExists);
  EXPECT_EQ(process::read_file(path("there"), 1_KiB).value(), "mine");
  EXPECT_EQ(error_of({.method = "PUT", .url = server.url("/"), .upload_file = path("none")}), ErrorCode::kNotFound);
}

TEST_F(HttpClientTest, ServesManyRequestsAtOnceAndBoundsThem) {
  std::promise<void> go;
  const auto gate = go.get_future().share();
  RawServer server([&](const auto& request) {
    gate.wait();
    return ok(request.head.substr(4, request.head.find(" HTTP") - 4));
  });
  std::vector<std::future<Result<ClientResponse>>> futures;
  for (int i = 0; i < 40; ++i) futures.push_back(begin({.url = server.url("/" + std::to_string(i))}));
  EXPECT_EQ(error_of({.url = server.url("/one-too-many")}), ErrorCode::kOverloaded);
  EXPECT_EQ(begin({.url = server.url("/other"), .pool = "other"}).wait_for(0s), std::future_status::timeout);
  go.set_value();
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(futures[static_cast<std::size_t>(i)].get().value().body, "/" + std::to_string(i));
  }
}

TEST_F(HttpClientTest, ACancelledRequestLeavesItsConnection) {
  std::promise<void> arrived;
  std::promise<void> over;
  const auto finished = over.get_future().share();
  RawServer server([&](const auto&) {
    arrived.set_value();
    finished.wait();
    return ok("too late");
  });
  std::promise<Result<ClientResponse>> result;
  auto signal = std::make_shared<asio::cancellation_signal>();
  asio::co_spawn(cores_.at(0).executor(), deliver(*client_, {.url = server.url("/")}, &result),
                 asio::bind_cancellation_slot(signal->slot(), [](const std::exception_ptr&) {}));
  arrived.get_future().wait();
  asio::post(cores_.at(0).executor(), [signal] { signal->emit(asio::cancellation_type::terminal); });
  EXPECT_EQ(result.get_future().get().error().code, ErrorCode::kCancelled);
  over.set_value();
  EXPECT_TRUE(server.wait_for_closed(1));
}

TEST_F(HttpClientTest, RequestsInFlightEndWithTheClient) {
  std::promise<void> arrived;
  std::promise<void> over;
  const auto finished = over.get_future().share();
  RawServer server([&](const auto&) {
    arrived.set_value();
    finished.wait();
    return ok("too late");
  });
  auto future = begin({.url = server.url("/")});
  arrived.get_future().wait();
  client_.reset();
  EXPECT_EQ(future.get().error().code, ErrorCode::kShuttingDown);
  over.set_value();
}

TEST_F(HttpClientTest, CountsEveryByteOfHeadAndBodyBothWays) {
  std::atomic<std::size_t> request_size = 0;
  std::size_t answer_size = 0;
  RawServer server([&](const auto& request) {
    request_size = request.head.size() + 2 + request.body.size();
    std::string answer = ok(std::string(100'000, 'x'), "x-one: 1\r\n");
    if (request.head.starts_with("HEAD")) answer.resize(answer.find("\r\n\r\n") + 4);
    answer_size = answer.size();
    return answer;
  });
  struct Case {
    std::string method, body;
    std::vector<std::pair<std::string, std::string>> headers;
    ClientRequest::Content content = ClientRequest::Content::kAsSent;
  };
  const std::vector<Case> cases = {
      {"GET", "", {}},
      {"HEAD", "", {{"user-agent", "me"}}},
      {"POST", std::string(12'345, 'b'), {{"accept", "text/plain"}, {"x-empty", ""}, {"connection", "dropped"}}},
      {"PUT", "", {{"content-type", " a/b "}}},
      {"DELETE", "x", {}, ClientRequest::Content::kDecoded},
  };
  for (const auto& [method, body, headers, content] : cases) {
    std::uint64_t counted = 0;
    ClientRequest request{.method = method, .url = server.url("/a/b?c=d"), .body = body, .content = content};
    for (const auto& [name, value] : headers) request.headers.add(name, value);
    request.meter = [&](std::uint64_t bytes) {
      counted += bytes;
      return Status();
    };
    ASSERT_TRUE(send(std::move(request))) << method;
    EXPECT_EQ(counted, request_size + answer_size) << method;
  }
}

TEST_F(HttpClientTest, TheMeterEndsARequestBeforeOrAfterItIsSent) {
  RawServer server([](const auto&) { return ok(std::string(5'000'000, 'x')); });
  for (const std::uint64_t budget : {10U, 200U, 100'000U}) {
    std::uint64_t counted = 0;
    ClientRequest request{.url = server.url("/")};
    request.meter = [&](std::uint64_t bytes) -> Status {
      counted += bytes;
      if (counted > budget) return fail(ErrorCode::kQuotaExceeded);
      return {};
    };
    EXPECT_EQ(error_of(std::move(request)), ErrorCode::kQuotaExceeded);
    EXPECT_LT(counted, budget + 200'000);
    EXPECT_EQ(server.connections() > 0, budget > 10);
  }
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  BH_ASSERT(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  std::string in(text);
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  BH_ASSERT(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST_F(HttpClientTest, DecodesOneLayerAndBoundsWhatComesOut) {
  std::string plain;
  plain.resize(20'000'000, 'z');
  const std::string once = gzip(plain);
  const std::string twice = gzip(once);
  RawServer server([&](const auto& request) {
    if (request.head.starts_with("GET /twice")) return ok(twice, "content-encoding: gzip, gzip\r\n");
    if (request.head.starts_with("GET /lines")) {
      return ok(twice, "content-encoding: gzip\r\ncontent-encoding: gzip\r\n");
    }
    if (request.head.starts_with("GET /broken")) return ok("no gzip", "content-encoding: gzip\r\n");
    if (request.head.starts_with("GET /plain")) return ok("plain");
    return ok(once, "content-encoding: gzip\r\n");
  });
  std::uint64_t counted = 0;
  const auto get = [&](std::string_view path, Bytes limit) {
    counted = 0;
    ClientRequest request{
        .url = server.url(path), .response_limit = limit, .content = ClientRequest::Content::kDecoded};
    request.meter = [&](std::uint64_t bytes) {
      counted += bytes;
      return Status();
    };
    return send(std::move(request));
  };
  EXPECT_EQ(get("/", 20'000'000_B).value().body, plain);
  EXPECT_GT(counted, once.size());
  EXPECT_LT(counted, once.size() + 500);
  EXPECT_EQ(get("/", 10'000'000_B).error().code, ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(get("/twice", 64_MiB).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(get("/lines", 64_MiB).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(get("/broken", 64_MiB).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(get("/plain", 64_MiB).value().body, "plain");
}

TEST_F(HttpClientTest, DialsTheGivenAddressesInsteadOfAskingDns) {
  RawServer server([](const auto& request) { return ok(request.head.substr(request.head.find("Host: "))); });
  const auto port = std::to_string(server.port());
  const auto get = [&](std::vector<std::string> addresses) {
    ClientRequest request{.url = "http://some.example:" + port + "/"};
    for (const auto& text : addresses) request.addresses.push_back(asio::ip::make_address(text));
    request.dial_guard = [](const asio::ip::address& address, std::uint16_t) -> Status {
      if (address == asio::ip::make_address("127.0.0.1")) return {};
      return fail(ErrorCode::kTargetDenied, {}, address.to_string());
    };
    return send(std::move(request));
  };
  EXPECT_TRUE(get({"127.0.0.1"})->body.starts_with("Host: some.example:" + port));
  EXPECT_TRUE(get({"::1", "127.0.0.1"}));
  // A kept connection to a checked address is still that; a new one goes to the new addresses.
  client_ = make_http_client(cores_.at(0));
  EXPECT_EQ(get({"10.1.2.3"}).error().detail, "10.1.2.3");
  EXPECT_EQ(get({"::ffff:127.0.0.1"}).error().code, ErrorCode::kTargetDenied);
  EXPECT_TRUE(get({"127.0.0.1"}));
}

TEST_F(HttpClientTest, BoundsWhatAllAnswersTogetherHold) {
  client_ = make_http_client(cores_.at(0), {.max_buffered = 1'000'000_B});
  RawServer server([](const auto& request) {
    return ok(std::string(request.head.starts_with("GET /large") ? 1'000'001 : 700'000, 'x'));
  });
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(error_of({.url = server.url("/large")}), ErrorCode::kOverloaded);
    EXPECT_TRUE(send({.url = server.url("/small")}));
  }
}

TEST_F(HttpClientTest, EndsTheIdlestPoolWhereThereAreTooMany) {
  client_ = make_http_client(cores_.at(0), {.max_pools = 2});
  RawServer server([](const auto& request) { return ok(std::to_string(request.connection)); });
  const auto connection = [&](std::string pool) {
    return send({.url = server.url("/"), .pool = std::move(pool)}).value().body;
  };
  EXPECT_EQ(connection("a"), "1");
  EXPECT_EQ(connection("b"), "2");
  EXPECT_EQ(connection("a"), "1");
  EXPECT_EQ(connection("c"), "3");  // ends b
  EXPECT_TRUE(server.wait_for_closed(1));
  EXPECT_EQ(connection("a"), "1");
  EXPECT_EQ(connection("b"), "4");
}

// --- TLS ---------------------------------------------------------------------------------------------------------
class HttpClientTls : public HttpClientTest {
 protected:
  void SetUp() override {
    run({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-keyout",
         path("key.pem"), "-out", path("cert.pem"), "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost"});
    server_ = process::ChildProcess::spawn({.program = "/usr/bin/openssl",
                                            .arguments = {"s_server", "-accept", "127.0.0.1:0", "-www", "-key",
                                                          path("key.pem"), "-cert", path("cert.pem")},
                                            .stdin_from = process::Stdio::pipe(),
                                            .stdout_to = process::Stdio::pipe(),
                                            .stderr_to = process::Stdio::null()})
                  .value();
    // It prints "ACCEPT 127.0.0.1:<port>".
    output_ = server_->take_stdout();
    std::string said;
    while (said.find("ACCEPT ") == std::string::npos || said.back() != '\n') {
      char byte = 0;
      ASSERT_EQ(::read(output_.get(), &byte, 1), 1) << said;
      said += byte;
    }
    port_ = said.substr(said.rfind(':') + 1);
    port_.pop_back();
  }
  void run(std::vector<std::string> arguments) {
    auto child =
        process::ChildProcess::spawn(
            {.program = "/usr/bin/openssl", .arguments = std::move(arguments), .stderr_to = process::Stdio::null()})
            .value();
    asio::io_context context(1);
    auto ended = asio::co_spawn(context, child.wait(30s), asio::use_future);
    context.run();
    ASSERT_TRUE(ended.get()->success());
  }

  std::optional<process::ChildProcess> server_;
  UniqueFd output_;
  std::string port_;
};

TEST_F(HttpClientTls, TrustsOnlyVerifiedCertificatesOfTheRightName) {
  const auto untrusted = send({.url = "https://localhost:" + port_ + "/"});
  ASSERT_FALSE(untrusted);
  EXPECT_EQ(untrusted.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(untrusted.error().detail.find("certificate"), std::string::npos) << untrusted.error().detail;
  client_ = make_http_client(cores_.at(0), {.ca_file = path("cert.pem")});
  const auto trusted = send({.url = "https://localhost:" + port_ + "/"});
  ASSERT_TRUE(trusted) << trusted.error().to_log_string();
  EXPECT_EQ(trusted->status, 200);
  EXPECT_EQ(error_of({.url = "https://127.0.0.1:" + port_ + "/"}), ErrorCode::kUnavailable);
}

TEST_F(HttpClientTls, AcceptsOnlyAPinnedPublicKey) {
  client_ = make_http_client(cores_.at(0), {.ca_file = path("cert.pem")});
  run({"pkey", "-in", path("key.pem"), "-pubout", "-outform", "DER", "-out", path("public.der")});
  const auto digest = ContentHash::of(process::read_file(path("public.der"), 1_KiB).value()).bytes();
  const auto pin = "sha256//" + base64_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
  const auto other = "sha256//" + base64_encode(std::string(32, 'x'));
  const auto get = [&](const std::string& pins) {
    return send({.url = "https://localhost:" + port_ + "/", .pinned_public_keys = pins});
  };
  // The unpinned connection stays open; a pin must not be satisfied by it.
  EXPECT_TRUE(get(""));
  const auto refused = get(other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "The target's public key is not the pinned one.");
  const auto accepted = get(other + ";" + pin);
  EXPECT_TRUE(accepted) << accepted.error().to_log_string();
}

}  // namespace
}  // namespace bulkhead::net
