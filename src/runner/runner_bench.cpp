// What a call costs the runner: CPU microseconds of its thread per call with the hello guest, through a channel (the
// gateway's way) and through POST /v1/execute, beside the guest's run alone (the baseline), all in the same minute.
//
//   build/release/bin/bench_runner [SECONDS per line, default 1]
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "protocol/execute_json.h"
#include "runner/module_loader.h"
#include "runner/runner_test_support.h"
#include "sandbox/execution.h"

namespace bulkhead::runner {
namespace {

using namespace testing;
using SteadyClock = std::chrono::steady_clock;

double cpu_us(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

struct Measured {
  double calls = 0;
  double cpu = 0;
  double wall = 0;
};

void print(const char* what, const Measured& measured, double baseline) {
  std::printf("%-44s %8.2f µs CPU  %9.0f calls/s  %5.2f x\n", what, measured.cpu / measured.calls,
              measured.calls / measured.wall * 1e6, measured.cpu / measured.calls / baseline);
}

// Repeats `work`, which makes some calls, for the time given.
template <typename Work>
Measured measure(double seconds, clockid_t clock, Work work) {
  for (int i = 0; i < 20; ++i) work();
  Measured measured;
  const double cpu = cpu_us(clock);
  const auto start = SteadyClock::now();
  while (measured.wall < seconds * 1e6) {
    measured.calls += work();
    measured.wall = std::chrono::duration<double, std::micro>(SteadyClock::now() - start).count();
  }
  measured.cpu = cpu_us(clock) - cpu;
  return measured;
}

class NoCalls final : public sandbox::HostCalls {
  std::optional<sandbox::HostAnswer> start(sandbox::Execution&, sandbox::HostCallToken, std::string_view,
                                           std::string_view) override {
    return sandbox::HostAnswer{};
  }
};

// The guest alone: request text, instance, handler, answer read.
Measured run_alone(double seconds, const CodeMaker& maker, const SignedCode& code) {
  static const SystemClock clock;
  auto engine = std::move(*sandbox::Engine::create(small_options().engine, clock));
  const auto file = process::make_sealed_memfd("code", code.code);
  const auto module = load_offered_module(engine, code.offer, *file, maker.public_key());
  const auto request = request_for(code);
  NoCalls calls;
  return measure(seconds, CLOCK_THREAD_CPUTIME_ID, [&] {
    for (int i = 0; i < 100; ++i) {
      sandbox::ExecutionInput input;
      protocol::append_guest_request(input.request, request);
      input.limits = request.limits;
      input.deadline = SteadyClock::now() + request.limits.timeout;
      auto execution = std::move(*sandbox::Execution::create(*module, std::move(input), calls));
      while (execution->resume() != sandbox::Progress::kDone) continue;
      if (protocol::parse_guest_response(*execution->take_result().response).body != "hello") std::abort();
    }
    return 100;
  });
}

void expect_result(SupervisorEnd& end) {
  const auto frame = end.receive();
  if (!frame || frame->type != FrameType::kResult) std::abort();
}

Measured run_channel(double seconds, RunningRunner& runner, clockid_t clock, const SignedCode& code, int depth) {
  std::string batch;
  for (int i = 0; i < depth; ++i) {
    protocol::append_execute(batch, static_cast<std::uint64_t>(i),
                             request_for(code, tenant(static_cast<std::uint8_t>(i % 8))));
  }
  return measure(seconds, clock, [&] {
    if (!runner.end().send(batch)) std::abort();
    for (int i = 0; i < depth; ++i) expect_result(runner.end());
    return depth;
  });
}

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) std::abort();
  return fd;
}

Measured run_http(double seconds, clockid_t clock, std::uint16_t port, const std::string& request, int connections) {
  std::vector<process::UniqueFd> sockets;
  for (int i = 0; i < connections; ++i) sockets.emplace_back(connect_to(port));
  return measure(seconds, clock, [&] {
    for (auto& socket : sockets) {
      if (::send(socket.get(), request.data(), request.size(), 0) != static_cast<ssize_t>(request.size())) std::abort();
    }
    for (auto& socket : sockets) {
      char answer[4'096];
      const ssize_t got = ::recv(socket.get(), answer, sizeof answer, 0);  // small: comes in one piece
      if (got <= 0 || !std::string_view(answer, static_cast<std::size_t>(got)).contains("aGVsbG8=")) std::abort();
    }
    return connections;
  });
}

int listen_on_loopback(std::uint16_t& port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), size) != 0 || ::listen(listener, 256) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  port = ntohs(address.sin_port);
  return listener;
}

void run_all(double seconds) {
  const CodeMaker maker;
  const SignedCode code = maker.make("hello");
  SystemRandom random;
  const ServiceKeys keys = make_service_keys(random);
  std::uint16_t port = 0;
  RunnerOptions options = small_options();
  options.http_listener = listen_on_loopback(port);
  options.service_key = keys.public_key;
  RunningRunner runner(maker, options);
  clockid_t clock{};
  pthread_getcpuclockid(runner.thread(), &clock);

  std::string frame;
  protocol::append_execute(frame, 1, request_for(code));
  if (!runner.end().send(frame)) std::abort();
  static_cast<void>(runner.end().receive());  // kNeedModule
  frame.clear();
  protocol::append_module(frame, code.offer);
  const auto file = process::make_sealed_memfd("code", code.code);
  if (!runner.end().send(frame, file->get())) std::abort();
  expect_result(runner.end());

  const UtcMicros now = SystemClock().now();
  const std::string token = sign_service_token({.issuer = "bench",
                                                .audience = "runner",
                                                .issued_at = now,
                                                .expires_at = now + kServiceTokenLifetime,
                                                .tenants = {}},
                                               keys.secret_key);
  const std::string body = protocol::serialize_execute_request(request_for(code));
  const std::string request = "POST /v1/execute HTTP/1.1\r\nhost: runner\r\nauthorization: Bearer " + token +
                              "\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(body.size()) +
                              "\r\n\r\n" + body;

  const Measured alone = run_alone(seconds, maker, code);
  const double baseline = alone.cpu / alone.calls;
  print("guest alone (baseline)", alone, baseline);
  print("channel, 1 call at a time", run_channel(seconds, runner, clock, code, 1), baseline);
  print("channel, 8 at a time", run_channel(seconds, runner, clock, code, 8), baseline);
  print("channel, 32 at a time", run_channel(seconds, runner, clock, code, 32), baseline);
  print("POST /v1/execute, 1 connection", run_http(seconds, clock, port, request, 1), baseline);
  print("POST /v1/execute, 32 connections", run_http(seconds, clock, port, request, 32), baseline);
}

}  // namespace
}  // namespace bulkhead::runner

int main(int argc, char** argv) {
  bulkhead::runner::run_all(argc > 1 ? std::atof(argv[1]) : 1.0);
  return 0;
}
