// Broker: the only door from a runner to data (architecture.md, Processes). Every host call names an execution handle;
// the broker derives tenant, install, grants and deadline from it, checks the capability and serves the call.
//
// A denial is an answer (code −1 and a reason), never an error of the channel. What can be called are HostFunctions
// that the rooms offer; storage.* is this room's own. Runs on the core of the channel that carried the call; constant
// once made, so all cores share one Broker.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/time.h"
#include "features/broker/host_function.h"
#include "platform/observe/metrics.h"
#include "platform/sql/database.h"

namespace bulkhead::broker {

class Broker {
 public:
  // `functions`: of the other rooms. A name offered twice is a mistake of the program.
  Broker(sql::Database& database, const Clock& clock, metrics::Registry& registry, HostFunctions functions = {});

  Task<protocol::HostResult> call(ExecutionTable& executions, protocol::HostCall call);
  // Removes what calls still stored for an install that was uninstalled meanwhile, once none of them can be left.
  Task<> forget_install(TenantId tenant, InstallId install);
  // Removes expired items now and then; runs until the core stops.
  Task<> run_expiry();

 private:
  sql::Database& database_;
  const Clock& clock_;
  metrics::Counter& served_;
  metrics::Counter& denied_;
  std::map<std::string, HostFunction, std::less<>> functions_;
};

}  // namespace bulkhead::broker
