// EgressService: serves http.fetch (contracts/extensions.md §3, Host HTTP; access.md, SSRF guard).
//
// Every hop of a fetch, the first and each redirect, must pass: the host and port are granted to the install, the
// circuit breaker of that upstream is not open, and each address that is dialled passes the dial guard after DNS. Bytes
// of requests and answers count against the execution's egress budget as they flow, so that a budget also bounds calls
// that run at the same time. Connections are pooled for each install of each organization and never shared.
//
// Owned by the composition root, made before the cores start and destroyed after they stop. `fetch` runs on the calling
// core with that core's HTTP client; there is no state that cores share.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "features/broker/host_function.h"
#include "features/egress/egress_metrics.h"
#include "features/egress/fetch_request.h"
#include "features/egress/pinned_keys.h"
#include "features/egress/secret_resolver.h"
#include "features/egress/upstream_breakers.h"
#include "platform/async/cores.h"
#include "platform/net/http_client.h"

namespace bulkhead::egress {

inline constexpr int kMaxRedirects = 5;
inline constexpr Bytes kMaxResponse = 10'000'000_B;

enum class TraceContext : std::uint8_t { kSend, kKeep };

struct EgressOptions {
  // Judges every address about to be dialled (net::SsrfGuard with refusal kCapabilityDenied). Required.
  std::function<Status(const boost::asio::ip::address&, std::uint16_t port)> dial_guard{};
  std::string ca_file{};  // PEM; empty = the system's authorities
  PinnedKeys pins{};
  SecretResolver* secrets = nullptr;  // null: headers with a secret_handle are denied
  TraceContext trace = TraceContext::kSend;
  std::size_t max_in_flight_per_install = 32;  // on one core
  std::size_t max_in_flight = 512;             // on one core
  Bytes max_buffered = 256_MiB;                // of answers, decompressed, on one core
  std::size_t max_pools = 512;                 // installs with connections, on one core
  long idle_connections_per_install = 4;
  std::size_t max_breakers = 4096;  // on one core
  guard::CircuitBreakerOptions breaker{};
  // Addresses of names that DNS is not asked for; an empty answer means DNS is. For tests.
  std::function<std::vector<boost::asio::ip::address>(const std::string& host)> addresses_of{};
};

class EgressService {
 public:
  EgressService(Cores& cores, EgressOptions options, const Clock& clock, metrics::Registry& registry);
  ~EgressService();
  EgressService(const EgressService&) = delete;
  EgressService& operator=(const EgressService&) = delete;

  // The capability has been checked. On the thread of one of the cores.
  Task<protocol::HostResult> fetch(broker::HostCallContext context, json::value request);

 private:
  struct Lane;  // what belongs to one core
  struct Answer {
    net::ClientResponse response;
    std::string url;
  };
  Lane& lane();
  Task<FetchResult<Answer>> follow(Lane& lane, broker::HostCallContext context, FetchRequest request);
  // One hop. `request` and `context` outlive it.
  Task<FetchResult<net::ClientResponse>> send(Lane& lane, const broker::HostCallContext& context,
                                              const FetchRequest& request, SteadyTime deadline);
  Task<FetchResult<net::Headers>> headers_of(Lane& lane, const broker::HostCallContext& context,
                                             const FetchRequest& request);
  std::function<Status(std::uint64_t)> meter_of(const broker::HostCallContext& context);

  EgressOptions options_;
  const Clock& clock_;
  EgressMetrics metrics_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

// "http.fetch". The service outlives the functions.
broker::HostFunctions egress_functions(EgressService& service);

}  // namespace bulkhead::egress
