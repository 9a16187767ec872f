// RunnerSupervisor: starts this node's runner processes, restarts the ones that end (backoff with jitter), kills and
// replaces the ones that stop answering or misbehave (RunnerConduct), and gives each core a Dispatcher over its
// channels to them.
//
// A tenant always goes to the same runner slot (jump consistent hash), so that a lost runner is a loss to few. Made and
// stopped by the composition root; each slot's supervision runs on core 0, channels and dispatchers on their own cores.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "features/runners/dispatcher.h"
#include "features/runners/runner_channel.h"
#include "platform/async/cores.h"
#include "platform/observe/metrics.h"
#include "platform/process/child_process.h"

namespace bulkhead::runners {

struct SupervisorOptions {
  std::string program;                 // process::self_exe()
  std::vector<std::string> arguments;  // {"runner-process", …}; the supervisor adds --channels N
  std::size_t processes = 1;
  int http_listener = -1;  // passed to every runner for /v1/execute; -1 = none
  Millis first_backoff{50};
  Millis max_backoff{5'000};
  Millis ping_interval{500};
  Millis silence_limit{10'000};  // a runner that says nothing for so long is killed
  Millis give_up_slack{2'000};   // beyond an execution's own time-out
};

class RunnerSupervisor {
 public:
  // `executions`: one table per core.
  RunnerSupervisor(Cores& cores, SupervisorOptions options, ModuleProvider& modules, broker::Broker& broker,
                   std::vector<broker::ExecutionTable*> executions, extensions::InstallDirectory& installs,
                   const Clock& clock, metrics::Registry& registry);
  ~RunnerSupervisor();

  // After Cores::start.
  void start();
  // Ends the runners: what runs gets `grace`. Awaited on core 0.
  Task<> stop(Millis grace);
  Dispatcher& dispatcher(std::size_t core);
  // After a change of trust: every runner drops what it has loaded. Any thread, after `start`.
  void forget_modules();
  // Process ids of the runners that are up now, for /healthz and tests.
  std::vector<pid_t> pids() const;
  // What the runners that are up said of themselves when they started: JSON texts, not checked. Any thread.
  std::vector<std::string> healths() const;

 private:
  class CoreDispatcher;
  struct Slot;
  struct Fate;
  Task<> supervise(std::size_t slot);
  Result<process::ChildProcess> spawn_runner(std::vector<process::UniqueFd>& ours);
  void hand_out(std::size_t slot, std::vector<process::UniqueFd> sockets, const std::shared_ptr<Fate>& fate);
  Task<> watch(std::size_t slot, process::ChildProcess& child, Fate& fate);
  ChannelEvents events_of(std::size_t slot, const std::shared_ptr<Fate>& fate);
  void condemn(std::size_t slot, Fate& fate, const std::string& why, Blame blame);

  Cores& cores_;
  SupervisorOptions options_;
  ModuleProvider& modules_;
  broker::Broker& broker_;
  std::vector<broker::ExecutionTable*> executions_;
  extensions::InstallDirectory& installs_;
  const Clock& clock_;
  metrics::Counter& restarts_;
  metrics::Counter& misbehaved_;
  std::vector<std::unique_ptr<CoreDispatcher>> dispatchers_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::size_t> supervised_ = 0;
};

}  // namespace bulkhead::runners
