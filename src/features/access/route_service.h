// The edge of every route: the one net::HttpService of `serve`. For each request, in this order: request id and
// traceparent, client address, route (404, 405 + Allow, OPTIONS), identity (every route that is not public needs one:
// 401), rate (429), handler behind an exception barrier (500), then headers, metrics and the access-log line.
//
// What it does not do is decide permissions: that needs the tenant, which handlers resolve (authorizer.h).
// Runs on the connection's core; per-core state only.
#pragma once

#include <memory>
#include <vector>

#include "base/random.h"
#include "features/access/admission.h"
#include "features/access/authenticator.h"
#include "features/access/client_address.h"
#include "features/access/route_table.h"
#include "platform/async/cores.h"
#include "platform/net/http_server.h"
#include "platform/observe/log.h"

namespace bulkhead::access {

class RouteService final : public net::HttpService {
 public:
  struct Options {
    std::vector<AddressRange> trusted_proxies;
  };
  // All outlive the service. `admission` may be null: nothing is limited.
  RouteService(Cores& cores, RouteTable table, Authenticator& authenticator, AdmissionPort* admission,
               const Clock& clock, metrics::Registry& registry, Options options);
  ~RouteService() override;

  net::BodyPlan plan(const net::RequestHead& head) override;
  Task<net::Response> handle(net::Request& request) override;
  net::Response refuse(const Error& error) override;

  const RouteTable& table() const { return table_; }

 private:
  struct RouteMetrics;
  struct PerCore;
  std::size_t core_of(const Executor& executor) const;
  // The answer, when the table alone can give it.
  std::optional<net::Response> answer_without_route(const net::Request& request, const RouteTable::Match& match,
                                                    const RouteContext& context) const;
  // What a credential that is known (good or bad) means for the request.
  Status authenticate(RouteContext& context, Result<PrincipalPtr> known);
  Task<Status> look_up(RouteContext& context, Authenticator::Attempt attempt);
  void finish(const RouteContext& context, const RouteTable::Match& match, SteadyTime began, net::Response& response);
  void write_access_log(const RouteContext& context, log::Level level, int status, Micros took) const;

  RouteTable table_;
  Authenticator& authenticator_;
  AdmissionPort* admission_;
  const Clock& clock_;
  Options options_;
  PrincipalPtr anonymous_;
  std::vector<const asio::io_context*> contexts_;  // by core
  std::vector<std::unique_ptr<PerCore>> per_core_;
  std::vector<RouteMetrics> route_metrics_;  // by route; the last is for requests without one
};

}  // namespace bulkhead::access
