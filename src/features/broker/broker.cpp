#include "features/broker/broker.h"

#include <algorithm>
#include <iterator>

#include "features/broker/key_value_store.h"
#include "features/broker/storage_calls.h"
#include "platform/async/cores.h"
#include "platform/observe/log.h"

namespace bulkhead::broker {
namespace {

constexpr Millis kExpiryInterval{60'000};
constexpr int kExpiryLimit = 500;
// After an uninstall: as long as the longest execution may still run.
constexpr Millis kLastWrites = protocol::kMaxTimeout + Millis(5'000);

}  // namespace

Broker::Broker(sql::Database& database, const Clock& clock, metrics::Registry& registry, HostFunctions functions)
    : database_(database),
      clock_(clock),
      served_(registry.counter("broker_host_calls_total", "Host calls served.")),
      denied_(registry.counter("broker_host_calls_denied_total", "Host calls refused for want of a handle or grant.")) {
  HostFunctions storage = storage_functions(database, clock);
  std::ranges::move(storage, std::back_inserter(functions));
  for (HostFunction& function : functions) {
    std::string name = function.name;
    [[maybe_unused]] const bool added = functions_.emplace(std::move(name), std::move(function)).second;
    BH_ASSERT(added);
  }
}

Task<protocol::HostResult> Broker::call(ExecutionTable& executions, protocol::HostCall call) {
  const LivePtr live = executions.find(call.handle);
  if (!live) {
    denied_.add();
    co_return host_error(protocol::HostCode::kDenied, "no_execution", "The execution is over or was never registered.");
  }
  const auto found = functions_.find(call.name);
  if (found == functions_.end()) {
    denied_.add();
    // A denial like any other, so that a guest made for a later server goes on without what this one lacks.
    co_return host_error(protocol::HostCode::kDenied, "not_available", "This server does not serve " + call.name + ".");
  }
  const HostFunction& function = found->second;
  if (!live->install->may(function.capability)) {
    denied_.add();
    ++live->denied_host_calls;
    co_return host_error(protocol::HostCode::kDenied, "capability_denied",
                         function.capability + " is not granted to this install.");
  }
  if (++live->host_calls > live->install->limits.host_calls) {
    denied_.add();
    co_return host_error(protocol::HostCode::kQuota, "quota_exceeded", "Too many host calls in one execution.");
  }
  auto request = parse_json(call.request_json.empty() ? std::string_view("{}") : call.request_json);
  if (!request) co_return host_error(protocol::HostCode::kInvalid, "invalid_json", request.error().message);
  served_.add();
  auto result = co_await function.handler(HostCallContext{call.handle, live}, std::move(*request));
  if (result.code == protocol::HostCode::kDenied) ++live->denied_host_calls;
  co_return result;
}

Task<> Broker::forget_install(TenantId tenant, InstallId install) {
  co_await sleep_for(kLastWrites);
  const auto scope = TenantScope::for_background_job(tenant, "data of an uninstalled install");
  const auto removed =
      co_await database_.write(scope, [install](sql::TenantTx& tx) { return remove_items_of(tx, install); });
  if (!removed) log::error("storage_of_install_not_removed", removed.error(), {{"install_id", install.to_string()}});
}

Task<> Broker::run_expiry() {
  for (;;) {
    co_await sleep_for(kExpiryInterval);
    const UtcMicros now = clock_.now();
    const auto removed = co_await database_.system_write(
        [now](sql::SystemTx& tx) { return remove_expired_items(tx, now, kExpiryLimit); });
    if (!removed) log::warn("storage_expiry_failed", removed.error());
  }
}

}  // namespace bulkhead::broker
