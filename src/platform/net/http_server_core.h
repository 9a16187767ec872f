// What the connections of one server share: all of it (ServerShared) and per core (ServerCore). Private to the server's
// .cpp files. A ServerCore belongs to its core's thread; connections keep it alive.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <memory>
#include <unordered_set>
#include <vector>

#include "platform/async/cores.h"
#include "platform/async/timer_wheel.h"
#include "platform/net/http_server.h"
#include "platform/net/http_wire.h"

namespace bulkhead::net {

class Connection;

struct ServerMetrics {
  explicit ServerMetrics(metrics::Registry& registry);
  void count_answer(int status) { answers.at(static_cast<std::size_t>(std::clamp(status / 100, 1, 5) - 1))->add(); }
  void count_refusal(ErrorCode code);

  metrics::Counter& opened;
  metrics::Counter& closed;
  metrics::Counter& bad_fields;                // response fields left out because they would have broken the framing
  metrics::Histogram& seconds;                 // from the whole head to the queued or sent answer
  std::array<metrics::Counter*, 5> answers{};  // 1xx … 5xx
  std::vector<std::pair<ErrorCode, metrics::Counter*>> refusals;
};

struct ServerShared {
  ServerShared(HttpService& server_service, HttpServerOptions server_options, metrics::Registry& registry)
      : service(server_service), options(std::move(server_options)), metrics(registry) {}
  HttpService& service;
  const HttpServerOptions options;
  ServerMetrics metrics;
  std::atomic<std::size_t> open{0};       // connections
  std::atomic<std::size_t> listening{0};  // cores that accept
  std::atomic<bool> draining{false};
  // The server went after its cores had stopped: what is left of connections dies with the cores and must touch nothing
  // that the server was given.
  std::atomic<bool> abandoned{false};
};

struct ServerCore {
  using Descriptor = asio::posix::basic_stream_descriptor<Executor>;

  ServerCore(Core& own_core, std::shared_ptr<ServerShared> server, int listen_socket)
      : core(own_core), shared(std::move(server)), wheel(own_core.executor()), listener(own_core.executor()) {
    listener.assign(listen_socket);
  }
  Core& core;
  const std::shared_ptr<ServerShared> shared;
  TimerWheel wheel;
  DateCache date;
  Descriptor listener;
  std::unordered_set<Connection*> connections;
  // With answers to send at the end of this turn of the event loop, see Connection::flush_at_end_of_turn.
  std::vector<std::shared_ptr<Connection>> answered;
};

// Accepts on the core until the listener is closed.
Task<> accept_loop(std::shared_ptr<ServerCore> core);

}  // namespace bulkhead::net
