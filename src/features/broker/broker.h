// Broker: the only door from a runner to data (architecture.md, Processes). Every host call names an execution handle;
// the broker derives tenant, install, grants and deadline from it, checks the capability and serves the call.
//
// A denial is an answer (code −1 and a reason), never an error of the channel. New host calls are rows of the table in
// broker.cpp: name, capability, function. Runs on the core of the channel that carried the call; stateless but for its
// references, so all cores may share one Broker.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "features/broker/execution_table.h"
#include "platform/async/task.h"
#include "platform/observe/metrics.h"
#include "platform/sql/database.h"
#include "protocol/frames.h"

namespace bulkhead::broker {

class Broker {
 public:
  Broker(sql::Database& database, const Clock& clock, metrics::Registry& registry);

  Task<protocol::HostResult> call(ExecutionTable& executions, protocol::HostCall call);
  // Removes what an uninstalled install had stored.
  Task<> forget_install(TenantId tenant, InstallId install);
  // Removes expired items now and then; runs until the core stops.
  Task<> run_expiry();

 private:
  sql::Database& database_;
  const Clock& clock_;
  metrics::Counter& served_;
  metrics::Counter& denied_;
};

}  // namespace bulkhead::broker
