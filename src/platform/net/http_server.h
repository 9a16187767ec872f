// The HTTP/1.1 server: one listener per core (SO_REUSEPORT), keep-alive, pipelining, the limits and time-outs of
// contracts/access.md (Edge), refusal of request-smuggling forms, graceful drain.
//
// The service says, from the head alone, how the body is to be received (`plan`); then it answers (`handle`). Both run
// on the connection's core. Whatever the service does not read of a body is drained up to a bound, else the connection
// closes. Requests of one connection are handled one after the other; their answers share sends where they can.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "platform/async/cores.h"
#include "platform/net/http.h"
#include "platform/observe/metrics.h"

namespace bulkhead::net {

struct BodyPlan {
  enum class Mode : std::uint8_t { kBuffered, kStreamed } mode = Mode::kBuffered;
  Bytes limit = 1_MiB;      // larger: 413, before the body is read when content-length says so
  Millis deadline{30'000};  // for receiving the whole body → 408
};

class HttpService {
 public:
  virtual ~HttpService() = default;
  virtual BodyPlan plan(const RequestHead& head) = 0;
  virtual Task<Response> handle(Request& request) = 0;
  // Turns a refusal of the edge itself (400, 408, 413, 414, 431, 503) into an answer.
  virtual Response refuse(const Error& error) = 0;
};

struct HttpServerOptions {
  std::string host = "127.0.0.1";  // address or "unix:/path"
  std::uint16_t port = 0;          // 0 picks a free one
  int inherited_listener = -1;     // an already listening socket instead of host/port (runner)
  Bytes header_limit = 16_KiB;
  Bytes target_limit = 8_KiB;
  Millis header_timeout{10'000};
  Millis idle_timeout{60'000};
  Millis write_timeout{30'000};  // for a client to take the next piece of an answer
  std::size_t max_connections = 16'384;
};

class HttpServer {
 public:
  virtual ~HttpServer() = default;
  virtual std::string address() const = 0;  // "127.0.0.1:43121"
  // Stops accepting; idle connections close, busy ones get `connection: close` with their answer. Returns when all are
  // gone or `grace` is over (the rest is cut).
  virtual Task<> drain(Millis grace) = 0;
};

// `cores`, `service` and `registry` outlive the server, the latter two also every handler that is still running: drain
// the server or stop the cores before they go. Destroying the server without a drain cuts all connections. Listening
// starts at once on every core. Errors: kBadRequest (host), kUnavailable (the address is taken, no permission).
Result<std::unique_ptr<HttpServer>> listen_http(Cores& cores, HttpService& service, const HttpServerOptions& options,
                                                metrics::Registry& registry);

}  // namespace bulkhead::net
