#include "runner/runner.h"

#include <sodium.h>

#include <boost/asio/basic_signal_set.hpp>
#include <csignal>

#include "platform/observe/log.h"
#include "protocol/json_text.h"
#include "runner/http_api.h"

namespace bulkhead::runner {
namespace {

void append_member(std::string& out, std::string_view name, std::uint64_t value) {
  out += ",\"";
  out += name;
  out += "\":";
  protocol::append_number(out, value);
}

}  // namespace

Result<std::unique_ptr<Runner>> Runner::create(Cores& cores, const RunnerOptions& options, SandboxLayers layers,
                                               const Clock& clock, metrics::Registry& registry) {
  if (sodium_init() < 0) return fail(ErrorCode::kInternal, "libsodium does not start");
  if (options.http_listener >= 0 && !options.service_key) {
    return fail(ErrorCode::kInternal, "A listener for /v1/execute needs the key of service tokens.");
  }
  BH_TRY(auto engine, sandbox::Engine::create(options.engine, clock));
  RunnerOptions fitting = options;
  fitting.executions.max_live = std::min(options.executions.max_live, options.engine.slots);
  auto runner =
      std::unique_ptr<Runner>(new Runner(cores, fitting, std::move(engine), std::move(layers), clock, registry));
  if (options.http_listener >= 0) {
    runner->http_ = std::make_unique<RunnerHttp>(*runner, *options.service_key, clock);
    BH_TRY_VOID(runner->http_->listen(cores, options.http_listener, runner->registry_));
  }
  return runner;
}

Runner::Runner(Cores& cores, const RunnerOptions& options, std::shared_ptr<sandbox::Engine> engine,
               SandboxLayers layers, const Clock& clock, metrics::Registry& registry)
    : context_(cores.at(0).context()),
      options_(options),
      layers_(std::move(layers)),
      engine_(std::move(engine)),
      registry_(registry),
      deadlines_(context_, [this] { after_input(); }),
      modules_(context_, deadlines_, engine_, options.code_key, options.modules, clock, [this] { after_input(); }),
      executions_(deadlines_, modules_, options.executions, clock),
      signals_(context_) {
  for (const int fd : options.channels) {
    channels_.push_back(std::make_shared<Channel>(context_, process::UniqueFd(fd), executions_, modules_, *this));
  }
  register_metrics();
}

Runner::~Runner() {
  while (!channels_.empty()) channels_.back()->close();
}

void Runner::start() {
  const auto channels = channels_;  // a channel that closes at once takes itself out of the list
  for (const auto& channel : channels) channel->start();
  stop_when_done();
}

void Runner::watch_signals() {
  boost::system::error_code ignored;
  signals_.add(SIGTERM, ignored);
  signals_.async_wait([this](const boost::system::error_code& failure, int) {
    if (!failure) drain();
  });
}

void Runner::after_input() {
  const bool more = executions_.run_turn();
  flush_channels();
  if (more) turn_again();
  stop_when_done();
}

void Runner::turn_again() {
  if (std::exchange(turn_posted_, true)) return;
  // Behind what the sockets have to say meanwhile.
  asio::post(context_, [this] {
    turn_posted_ = false;
    after_input();
  });
}

void Runner::flush_channels() {
  for (std::size_t i = channels_.size(); i-- > 0;) {
    // Flushing can close a channel and take it out of the list.
    const auto channel = channels_[i];
    if (channel->has_output()) channel->flush();
  }
}

void Runner::drain() {
  if (std::exchange(draining_, true)) return;
  log::info("runner_drains", {{"live", executions_.live()}, {"queued", executions_.queued()}});
  executions_.drain();
  turn_again();
  if (http_) {
    asio::co_spawn(context_, http_->drain(options_.drain_time), [this](const std::exception_ptr& escaped) {
      if (escaped) std::terminate();
      http_.reset();
      stop_when_done();
    });
  }
}

void Runner::stop_when_done() {
  const bool unreachable = channels_.empty() && !http_;
  const bool drained = draining_ && !http_ && executions_.idle() &&
                       std::ranges::none_of(channels_, [](const auto& channel) { return channel->has_output(); });
  if (unreachable || drained) context_.stop();
}

void Runner::channel_closed(Channel& channel) {
  std::erase_if(channels_, [&channel](const auto& held) { return held.get() == &channel; });
  // Without a supervisor there are no modules and no host calls: what remains of the HTTP side is of no use to anybody.
  if (channels_.empty() && http_) drain();
  turn_again();
}

BrokerLink* Runner::broker_link() { return channels_.empty() ? nullptr : channels_.front().get(); }

Status Runner::readiness() const {
  if (draining_) return fail(ErrorCode::kShuttingDown);
  if (channels_.empty()) return fail(ErrorCode::kRunnerUnavailable, "The supervisor and broker can't be reached.");
  return {};
}

std::string Runner::health_json() {
  const auto ready = readiness();
  std::string out = ready ? R"({"status":"ok")" : R"({"status":"unavailable")";
  out += R"(,"engine":{"up":true,"fingerprint":)";
  protocol::append_json_string(out, engine_->fingerprint());
  append_member(out, "instances", engine_->live_executions());
  append_member(out, "slots", engine_->settings().slots);
  const std::string_view reachable = channels_.empty() ? "false" : "true";
  out += R"(},"broker":{"reachable":)";
  out += reachable;
  out += R"(},"supervisor":{"reachable":)";
  out += reachable;
  out += '}';
  append_member(out, "live", executions_.live());
  append_member(out, "queued", executions_.queued());
  append_member(out, "modules", modules_.count());
  append_member(out, "module_bytes", modules_.code_size().value);
  out += R"(,"sandbox":)";
  out += to_json(layers_);
  out += '}';
  return out;
}

std::string Runner::metrics_text() { return registry_.render(); }

void Runner::register_metrics() {
  // Read when rendered, on this thread.
  const auto gauge = [this](std::string_view name, std::string_view help, auto read) {
    registry_.gauge(name, help, [this, read] { return static_cast<double>(read(*this)); });
  };
  gauge("runner_executions_live", "Executions admitted and not yet finished.",
        [](const Runner& runner) { return runner.executions_.live(); });
  gauge("runner_executions_queued", "Executions that wait for their tenant's concurrency.",
        [](const Runner& runner) { return runner.executions_.queued(); });
  gauge("runner_executions_finished", "Executions answered since the start.",
        [](const Runner& runner) { return runner.executions_.counts().finished; });
  gauge("runner_executions_failed", "Executions answered with an error since the start.",
        [](const Runner& runner) { return runner.executions_.counts().failed; });
  gauge("runner_executions_refused", "Executions refused for a limit since the start.",
        [](const Runner& runner) { return runner.executions_.counts().refused; });
  gauge("runner_host_calls", "Host calls of guests since the start.",
        [](const Runner& runner) { return runner.executions_.counts().host_calls; });
  gauge("runner_modules", "Modules that are loaded.", [](const Runner& runner) { return runner.modules_.count(); });
  gauge("runner_module_bytes", "Machine code that is loaded.",
        [](const Runner& runner) { return runner.modules_.code_size().value; });
}

Status run(const RunnerOptions& options) {
  std::vector<int> kept = options.channels;
  if (options.http_listener >= 0) kept.push_back(options.http_listener);
  SandboxLayers layers = drop_privileges(kept, options.identity);
  log::start(options.log_level);
  const SystemClock clock;
  metrics::Registry registry;
  Cores cores(1);
  auto runner = Runner::create(cores, options, layers, clock, registry);
  if (!runner) {
    log::error("runner_failed", runner.error());
    log::stop();
    return fail(std::move(runner.error()));
  }
  (*runner)->watch_signals();
  // From here on no thread is started and no file opened.
  seal_process(layers, options.identity, SandboxRole::kRunner);
  filter_system_calls(layers, SandboxRole::kRunner);
  if (auto missing = protocol::check_required_layers(layers, options.required_layers); !missing) {
    log::error("runner_not_sandboxed", missing.error());
    runner->reset();
    log::stop();
    return fail(std::move(missing.error()));
  }
  log::info("runner_ready", {{"pid", ::getpid()}, {"sandbox", to_json(layers)}});
  (*runner)->set_layers(std::move(layers));
  (*runner)->start();
  cores.at(0).context().run();
  runner->reset();
  log::info("runner_ended");
  log::stop();
  return {};
}

}  // namespace bulkhead::runner
