// RunnerHttp: the runner's own HTTP routes (contracts/extensions.md §3): POST /v1/execute and /warmup for callers with
// a service token, GET /healthz, /readyz and /metrics for everybody who reaches the socket.
//
// Owner: Runner; runs on the runner's one thread.
#pragma once

#include <deque>

#include "base/service_token.h"
#include "platform/net/http_server.h"

namespace bulkhead::runner {

class Runner;

class RunnerHttp final : public net::HttpService {
 public:
  RunnerHttp(Runner& runner, const ServicePublicKey& key, const Clock& clock);

  // `listener` is an inherited listening socket; it is taken over.
  Status listen(Cores& cores, int listener, metrics::Registry& registry);
  // Stops accepting and lets the connections finish.
  Task<> drain(Millis grace);

  net::BodyPlan plan(const net::RequestHead& head) override;
  Task<net::Response> handle(net::Request& request) override;
  net::Response refuse(const Error& error) override;

 private:
  struct KnownToken {
    std::string token;
    ServiceClaims claims;
  };

  // The claims of the request's bearer token; valid until the next call.
  Result<const ServiceClaims*> authenticate(const net::RequestHead& head);
  Task<net::Response> execute(net::Request& request);
  net::Response warm_up(const net::Request& request);

  Runner& runner_;
  ServicePublicKey key_;
  const Clock& clock_;
  // Verified tokens, the last used first: callers send the same one with every request of a connection.
  std::deque<KnownToken> known_;
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace bulkhead::runner
