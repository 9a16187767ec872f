// HostFunction: one host call that guests may make, as a room offers it to the Broker.
//
// The Broker has found the execution by its handle, checked the capability and the number of calls, and parsed the
// request before the function runs; the function checks the shape (api/abi/NAME.json) and the limits of its own.
// Whatever it uses of tenant, install, grants and deadline it takes from the context, never from the request. Runs on
// the core of the runner's channel.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "features/broker/execution_table.h"
#include "platform/async/task.h"
#include "protocol/frames.h"

namespace bulkhead::broker {

struct HostCallContext {
  ExecutionHandle handle;
  LivePtr execution;  // its budgets may be used up by several calls at the same time

  const TenantScope& scope() const { return execution->scope; }
  const extensions::InstalledExtension& install() const { return *execution->install; }
  // No call may take longer than its execution.
  SteadyTime deadline() const { return execution->deadline; }
};

using HostHandler = std::function<Task<protocol::HostResult>(HostCallContext, json::value)>;

struct HostFunction {
  std::string name;        // dotted: "storage.get"
  std::string capability;  // "storage.kv"
  HostHandler handler;
};
using HostFunctions = std::vector<HostFunction>;

// {"error":{"code","message"}} with the ABI's negative code.
protocol::HostResult host_error(protocol::HostCode code, std::string_view name, std::string_view message);
// An error of a service as a guest sees it: the code nearest to it, no detail.
protocol::HostResult host_error(const Error& error);
protocol::HostResult host_answer(const json::value& response);

}  // namespace bulkhead::broker
