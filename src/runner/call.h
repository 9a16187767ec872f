// Call: one execution from its arrival to its answer, and the two parties it deals with.
//
// Owned by Executions. States: waiting for a place (tenant at its concurrency) → waiting for its module → ready ⇄
// running ⇄ waiting for a host call → finished. One thread.
#pragma once

#include <memory>

#include "protocol/frames.h"
#include "runner/deadlines.h"
#include "runner/fair_queue.h"
#include "runner/module_cache.h"
#include "sandbox/execution.h"

namespace bulkhead::runner {

class Executions;
struct Call;
struct Tenant;

// Who asked for the call: a channel or an HTTP request.
class CallOrigin {
 public:
  // The call ends with this; must not call back into Executions.
  virtual void finished(Call& call, protocol::ExecuteResponse response) = 0;

 protected:
  ~CallOrigin() = default;
};

// The way to the broker and the supervisor, by which the call came or which was chosen for it.
class BrokerLink : public ModuleRequester {
 public:
  // Answered through Executions::host_result with the same id.
  virtual void send_host_call(std::uint64_t id, const protocol::HostCall& call) = 0;
  virtual void send_open(std::uint64_t id, const protocol::ExecuteContext& context) = 0;

 protected:
  ~BrokerLink() = default;
};

struct AllHook : boost::intrusive::list_base_hook<boost::intrusive::tag<struct AllTag>> {};
struct PendingHook : boost::intrusive::list_base_hook<boost::intrusive::tag<struct PendingTag>> {};

struct Call final : AllHook, PendingHook, ReadyHook, Deadlines::Waiter, ModuleWaiter {
  enum class State : std::uint8_t { kPending, kWaitingForModule, kReady, kRunning, kWaitingForHost };

  // What the guest asked for while its handle was not yet there.
  struct HeldHostCall {
    std::string name;
    std::string request_json;
  };

  Call(std::uint64_t call_id, protocol::ExecuteRequest execute_request, CallOrigin* who, BrokerLink* by)
      : id(call_id), request(std::move(execute_request)), origin(who), link(by) {}

  void on_deadline() override;
  void on_module(const Result<ModulePtr>& module) override;

  std::uint64_t id;  // the origin's
  protocol::ExecuteRequest request;
  CallOrigin* origin;  // null once nobody waits for the answer
  BrokerLink* link;    // null when there is no broker
  Executions* owner = nullptr;
  Tenant* tenant = nullptr;
  State state = State::kPending;
  SteadyTime arrived;
  SteadyTime deadline;
  std::int64_t charged_us = 0;  // for its place, until it is known what it cost
  std::unique_ptr<sandbox::Execution> execution;
  std::uint64_t host_call = 0;  // the id of the host call in flight, 0 = none
  sandbox::HostCallToken host_token = 0;
  std::optional<HeldHostCall> held;  // set while kOpen is in flight
};

}  // namespace bulkhead::runner
