// The runner process: untrusted guests on one event loop of one thread. It holds no secret, no database and no
// credential: only channels to its supervisor, and at times a listening socket for /v1/execute.
//
// `run` is the process's main. `Runner` is the same without the walls around the process, for tests and benchmarks.
#pragma once

#include <boost/asio/basic_signal_set.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "base/service_token.h"
#include "platform/async/cores.h"
#include "platform/net/http_server.h"
#include "platform/observe/log.h"
#include "platform/observe/metrics.h"
#include "runner/channel.h"
#include "runner/sandbox_layers.h"
#include "sandbox/engine.h"

namespace bulkhead::runner {

struct RunnerOptions {
  std::vector<int> channels;           // inherited Unix stream sockets, one per serve core; owned by the runner
  int http_listener = -1;              // an inherited listening socket for /v1/execute; -1 = none
  protocol::CodePublicKey code_key{};  // checks machine code
  std::optional<ServicePublicKey> service_key;  // checks callers of /v1/execute; needed with http_listener
  sandbox::EngineSettings engine;
  ExecutionLimits executions;
  ModuleCacheLimits modules;
  Millis drain_time{35'000};  // longer than the longest execution
  SandboxIdentity identity;
  std::vector<std::string> required_layers;  // without which it does not start
  log::Level log_level = log::Level::kInfo;
};

class RunnerHttp;

class Runner final : public ChannelHost {
 public:
  // The runner's thread is the one that runs cores.at(0).context(), which must not run handlers once the runner is
  // gone. `cores` and `clock` outlive the runner; `registry` outlives the cores (connections count themselves out at
  // the end).
  static Result<std::unique_ptr<Runner>> create(Cores& cores, const RunnerOptions& options, SandboxLayers layers,
                                                const Clock& clock, metrics::Registry& registry);
  ~Runner();

  // Begins to read. Once everything is done (all channels closed, or drained) the context is stopped.
  void start();
  // SIGTERM drains.
  void watch_signals();
  // Finishes what runs, refuses what comes, then ends.
  void drain() override;
  // Runs ready executions for one turn and writes what came of it. Called after anything that made one ready.
  void after_input() override;
  std::string health_json() override;
  std::string metrics_text() override;

  // Why not, when new executions can't be served at all.
  Status readiness() const;
  Executions& executions() { return executions_; }
  ModuleCache& modules() { return modules_; }
  // A channel for calls that came by HTTP; null when there is none.
  BrokerLink* broker_link();
  void set_layers(SandboxLayers layers) { layers_ = std::move(layers); }

 private:
  Runner(Cores& cores, const RunnerOptions& options, std::shared_ptr<sandbox::Engine> engine, SandboxLayers layers,
         const Clock& clock, metrics::Registry& registry);
  void channel_closed(Channel& channel) override;
  void turn_again();
  void flush_channels();
  void stop_when_done();
  void register_metrics();

  using Signals = asio::basic_signal_set<Executor>;
  asio::io_context& context_;
  RunnerOptions options_;
  SandboxLayers layers_;
  std::shared_ptr<sandbox::Engine> engine_;
  metrics::Registry& registry_;
  Deadlines deadlines_;
  ModuleCache modules_;
  Executions executions_;
  std::vector<std::shared_ptr<Channel>> channels_;
  std::unique_ptr<RunnerHttp> http_;
  Signals signals_;
  bool turn_posted_ = false;
  bool draining_ = false;
};

// Ends when the supervisor closes the channels, on kDrain and on SIGTERM. The process should exit then.
Status run(const RunnerOptions& options);

}  // namespace bulkhead::runner
