#include "platform/net/http_server.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <cstring>
#include <exception>

#include "platform/net/http_connection.h"
#include "platform/net/listen_socket.h"
#include "platform/observe/log.h"

namespace bulkhead::net {
namespace {

// Connections taken from the kernel before others of the core get their turn.
constexpr int kAcceptBatch = 64;
// This many connections beyond the limit are told so (503); more are closed without a word.
constexpr std::size_t kTurnedAwayAtOnce = 64;
constexpr Millis kAcceptPause{100};  // when descriptors have run out
constexpr Millis kDrainPoll{10};
constexpr Millis kCutTime{1'000};  // for connections to notice that they were cut

Peer read_peer(const sockaddr_storage& address, socklen_t size) {
  Peer peer;
  peer.is_local_socket = address.ss_family == AF_UNIX;
  if (address.ss_family == AF_INET || address.ss_family == AF_INET6) {
    asio::ip::tcp::endpoint endpoint;
    std::memcpy(endpoint.data(), &address, std::min<std::size_t>(size, endpoint.capacity()));
    // An IPv4 client of a dual-stack listener is an IPv4 client: address rules must not have to know two spellings.
    const asio::ip::address sent = endpoint.address();
    peer.address = sent.is_v6() && sent.to_v6().is_v4_mapped()
                       ? asio::ip::make_address_v4(asio::ip::v4_mapped, sent.to_v6())
                       : sent;
    peer.port = endpoint.port();
  }
  return peer;
}

void start_connection(const std::shared_ptr<ServerCore>& core, int handle, const sockaddr_storage& address,
                      socklen_t size) {
  const ServerShared& shared = *core->shared;
  const std::size_t open = shared.open.load(std::memory_order_relaxed);
  if (open >= shared.options.max_connections + kTurnedAwayAtOnce) {
    ::close(handle);
    return;
  }
  const int on = 1;
  if (address.ss_family != AF_UNIX) ::setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const asio::generic::stream_protocol protocol(address.ss_family, address.ss_family == AF_UNIX ? 0 : IPPROTO_TCP);
  StreamSocket socket(core->core.executor(), protocol, handle);
  auto connection = std::make_shared<Connection>(core, std::move(socket), read_peer(address, size));
  auto life = open < shared.options.max_connections ? Connection::serve(std::move(connection))
                                                    : Connection::turn_away(std::move(connection));
  asio::co_spawn(core->core.executor(), std::move(life), [](const std::exception_ptr& escaped) {
    if (escaped) std::terminate();
  });
}

// False when accepting has to pause: the process or the system is out of descriptors or memory.
bool accept_waiting(const std::shared_ptr<ServerCore>& core) {
  for (int i = 0; i < kAcceptBatch; ++i) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    const int handle = ::accept4(core->listener.native_handle(), reinterpret_cast<sockaddr*>(&address), &size,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (handle >= 0) {
      start_connection(core, handle, address, size);
    } else if (errno == EAGAIN) {
      return true;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      log::warn("http_accept_failed", {{"errno", errno}});
      return false;
    }
    // Anything else is about that one client, who is gone (accept(2), error handling).
  }
  return true;
}

void stop_accepting(const std::shared_ptr<ServerCore>& core) {
  if (!core->listener.is_open()) return;
  accept_waiting(core);  // closing would reset clients that the kernel has already greeted
  boost::system::error_code ignored;
  core->listener.close(ignored);
  core->shared->listening.fetch_sub(1, std::memory_order_release);
}

// Connections may end while they are told.
template <typename Tell>
void tell_connections(const std::shared_ptr<ServerCore>& core, Tell tell) {
  std::vector<std::shared_ptr<Connection>> all;
  for (Connection* connection : core->connections) {
    if (auto alive = connection->weak_from_this().lock()) all.push_back(std::move(alive));
  }
  for (const auto& connection : all) tell(*connection);
}

class CoreHttpServer final : public HttpServer {
 public:
  CoreHttpServer(Cores& cores, HttpService& service, const HttpServerOptions& options, metrics::Registry& registry,
                 ListenSockets sockets)
      : cores_(cores),
        shared_(std::make_shared<ServerShared>(service, options, registry)),
        address_(std::move(sockets.address)),
        unix_path_(std::move(sockets.unix_path)) {
    shared_->listening = sockets.sockets.size();
    for (std::size_t i = 0; i < sockets.sockets.size(); ++i) {
      server_cores_.push_back(std::make_shared<ServerCore>(cores.at(i), shared_, sockets.sockets[i]));
      asio::co_spawn(cores.at(i).executor(), accept_loop(server_cores_.back()), [](const std::exception_ptr& escaped) {
        if (escaped) std::terminate();
      });
    }
  }

  ~CoreHttpServer() override {
    if (cores_.running()) {
      stop_and_cut();
      if (!on_a_core()) wait_until_idle(kCutTime);
    } else {
      shared_->abandoned.store(true, std::memory_order_relaxed);
      boost::system::error_code ignored;
      for (const auto& core : server_cores_) core->listener.close(ignored);
    }
    remove_unix_socket();
  }

  std::string address() const override { return address_; }

  Task<> drain(Millis grace) override {
    shared_->draining.store(true, std::memory_order_relaxed);
    for (const auto& core : server_cores_) {
      asio::post(core->core.executor(), [core] {
        stop_accepting(core);
        tell_connections(core, [](Connection& connection) { connection.wind_down(); });
      });
    }
    const SteadyTime end = std::chrono::steady_clock::now() + grace;
    while (!is_idle() && std::chrono::steady_clock::now() < end) co_await sleep_for(kDrainPoll);
    remove_unix_socket();
    if (is_idle()) co_return;
    stop_and_cut();
    const SteadyTime last = std::chrono::steady_clock::now() + kCutTime;
    while (!is_idle() && std::chrono::steady_clock::now() < last) co_await sleep_for(kDrainPoll);
  }

 private:
  bool is_idle() const {
    return shared_->listening.load(std::memory_order_acquire) == 0 &&
           shared_->open.load(std::memory_order_acquire) == 0;
  }
  bool on_a_core() const {
    return std::ranges::any_of(server_cores_, [](const auto& core) { return core->core.is_current(); });
  }
  void stop_and_cut() {
    shared_->draining.store(true, std::memory_order_relaxed);
    for (const auto& core : server_cores_) {
      asio::post(core->core.executor(), [core] {
        stop_accepting(core);
        tell_connections(core, [](Connection& connection) { connection.cut(); });
      });
    }
  }
  void wait_until_idle(Millis most) const {
    const SteadyTime end = std::chrono::steady_clock::now() + most;
    while (!is_idle() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(Millis(1));
  }
  void remove_unix_socket() {
    if (!unix_path_.empty()) ::unlink(std::exchange(unix_path_, {}).c_str());
  }

  Cores& cores_;
  std::shared_ptr<ServerShared> shared_;
  std::vector<std::shared_ptr<ServerCore>> server_cores_;
  std::string address_;
  std::string unix_path_;
};

}  // namespace

ServerMetrics::ServerMetrics(metrics::Registry& registry)
    : opened(registry.counter("http_server_connections_opened_total", "Connections accepted.")),
      closed(registry.counter("http_server_connections_closed_total", "Connections closed.")),
      bad_fields(registry.counter("http_server_bad_response_fields_total",
                                  "Response fields left out because they would have broken the framing.")),
      seconds(registry.histogram("http_server_request_seconds", "From the whole request head to the answer.",
                                 metrics::latency_bounds())) {
  for (std::size_t i = 0; i < answers.size(); ++i) {
    answers[i] = &registry.counter("http_server_answers_total", "Answers by status class.",
                                   {{"class", std::to_string(i + 1) + "xx"}});
  }
  for (const ErrorCode code : {ErrorCode::kBadRequest, ErrorCode::kRequestTimeout, ErrorCode::kPayloadTooLarge,
                               ErrorCode::kUriTooLong, ErrorCode::kHeadersTooLarge, ErrorCode::kOverloaded}) {
    refusals.emplace_back(code, &registry.counter("http_server_refused_total", "Requests that the edge itself refused.",
                                                  {{"code", std::string(error_info(code).wire_code)}}));
  }
  metrics::Counter& ins = opened;
  metrics::Counter& outs = closed;
  registry.gauge("http_server_connections_open", "Connections open now.",
                 [&ins, &outs] { return static_cast<double>(ins.value()) - static_cast<double>(outs.value()); });
}

void ServerMetrics::count_refusal(ErrorCode code) {
  for (const auto& [refused, counter] : refusals) {
    if (refused == code) counter->add();
  }
}

Task<> accept_loop(std::shared_ptr<ServerCore> core) {
  while (core->listener.is_open()) {
    boost::system::error_code failure;
    co_await core->listener.async_wait(ServerCore::Descriptor::wait_read, asio::redirect_error(use_task, failure));
    if (failure || !core->listener.is_open()) co_return;
    if (!accept_waiting(core)) co_await sleep_for(kAcceptPause);
  }
}

Result<std::unique_ptr<HttpServer>> listen_http(Cores& cores, HttpService& service, const HttpServerOptions& options,
                                                metrics::Registry& registry) {
  BH_TRY(ListenSockets sockets, open_listen_sockets(options, cores.size()));
  return std::make_unique<CoreHttpServer>(cores, service, options, registry, std::move(sockets));
}

}  // namespace bulkhead::net
