// Without arguments: google-benchmark of the parts and of round trips over loopback. With `serve PORT [CORES]`: answers
// "hello" until killed, for a load generator on other cores:
//   taskset -c 0 bench_http_server serve 8081 & taskset -c 1 wrk -t1 -c64 -d5 http://127.0.0.1:8081/
#include <benchmark/benchmark.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "platform/net/http_parser.h"
#include "platform/net/http_server.h"
#include "platform/net/http_wire.h"

namespace bulkhead::net {
namespace {

class HelloService final : public HttpService {
 public:
  BodyPlan plan(const RequestHead&) override { return {}; }
  Task<Response> handle(Request&) override { co_return Response::text(200, "text/plain", "hello, world"); }
  Response refuse(const Error& error) override { return problem(error, ""); }
};

constexpr std::string_view kShort = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n\r\n";
constexpr std::string_view kBrowser =
    "GET /api/v1/orgs/acme/projects?limit=50&cursor=abc HTTP/1.1\r\nHost: bulkhead.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36\r\n"
    "Accept: application/json, text/plain, */*\r\nAccept-Language: en-US,en;q=0.9\r\nAccept-Encoding: gzip, br\r\n"
    "Referer: https://bulkhead.example.com/projects\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n"
    "Cookie: __Host-bh_session=0123456789abcdef0123456789abcdef0123456789ab\r\nConnection: keep-alive\r\n\r\n";

void parse(benchmark::State& state, std::string_view text) {
  RequestParser parser({});
  RequestHead head;
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(parser.parse_head(text, head));
}
BENCHMARK_CAPTURE(parse, short, kShort);
BENCHMARK_CAPTURE(parse, browser, kBrowser);

void write_head(benchmark::State& state) {
  const Response response = Response::text(200, "text/plain", "hello, world");
  DateCache date;
  std::string out;
  for ([[maybe_unused]] auto _ : state) {
    out.clear();
    append_head(out, {.response = response, .length = response.body.size(), .date = date.now()});
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(write_head);

std::uint16_t port_of(const HttpServer& server) {
  const std::string address = server.address();
  return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

// One client that sends `depth` requests in one go and waits for all answers.
void round_trip(benchmark::State& state) {
  Cores cores(1);
  HelloService service;
  metrics::Registry registry;
  auto server = listen_http(cores, service, {}, registry);
  cores.start();
  asio::io_context context;
  asio::ip::tcp::socket socket(context);
  socket.connect({asio::ip::make_address("127.0.0.1"), port_of(**server)});
  socket.set_option(asio::ip::tcp::no_delay(true));

  const auto depth = static_cast<std::size_t>(state.range(0));
  std::string requests;
  for (std::size_t i = 0; i < depth; ++i) requests += kShort;
  std::array<char, 65'536> answer;
  asio::write(socket, asio::buffer(kShort));
  const std::size_t size = socket.read_some(asio::buffer(answer));
  for ([[maybe_unused]] auto _ : state) {
    asio::write(socket, asio::buffer(requests));
    asio::read(socket, asio::buffer(answer, size * depth));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(depth));
  cores.stop();
}
BENCHMARK(round_trip)->Arg(1)->Arg(16)->UseRealTime();

int serve(std::uint16_t port, std::size_t count) {
  Cores cores(count);
  HelloService service;
  metrics::Registry registry;
  HttpServerOptions options;
  options.port = port;
  auto server = listen_http(cores, service, options, registry);
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().to_log_string().c_str());
    return 1;
  }
  std::printf("%s\n", (*server)->address().c_str());
  std::fflush(stdout);
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  cores.start();
  int signal = 0;
  sigwait(&ends, &signal);
  return 0;
}

}  // namespace
}  // namespace bulkhead::net

int main(int argc, char** argv) {
  if (argc >= 3 && std::strcmp(argv[1], "serve") == 0) {
    return bulkhead::net::serve(static_cast<std::uint16_t>(std::atoi(argv[2])),
                                argc > 3 ? static_cast<std::size_t>(std::atoi(argv[3])) : 1);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
