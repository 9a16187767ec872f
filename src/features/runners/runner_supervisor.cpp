#include "features/runners/runner_supervisor.h"

#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "platform/observe/log.h"

namespace bulkhead::runners {
namespace {

constexpr int kFirstChannelFd = 3;

// Lamping & Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm" (2014).
std::size_t jump_consistent_hash(std::uint64_t key, std::size_t buckets) {
  std::int64_t b = -1;
  std::int64_t j = 0;
  while (j < static_cast<std::int64_t>(buckets)) {
    b = j;
    key = key * 2862933555777941757ULL + 1;
    j = static_cast<std::int64_t>(static_cast<double>(b + 1) *
                                  (static_cast<double>(1LL << 31) / static_cast<double>((key >> 33) + 1)));
  }
  return static_cast<std::size_t>(b);
}

std::uint64_t hash_of(const TenantId& tenant) {
  std::uint64_t key = 0;
  std::memcpy(&key, tenant.uuid().bytes().data() + 8, sizeof key);
  return key;
}

}  // namespace

// One core's view of the runners: a channel per slot, null while a slot has no runner.
class RunnerSupervisor::CoreDispatcher final : public Dispatcher {
 public:
  CoreDispatcher(std::size_t slots, broker::ExecutionTable& executions, const Clock& clock, Millis slack)
      : channels(slots), executions_(executions), clock_(clock), slack_(slack) {}

  Task<std::expected<protocol::ExecuteResponse, DispatchFailure>> execute(protocol::ExecuteRequest& request,
                                                                          extensions::InstalledPtr install,
                                                                          EarlyEnd* early_end) override {
    if (early_end != nullptr && early_end->is_requested()) {
      co_return std::unexpected(DispatchFailure{fail(ErrorCode::kCancelled).error(), false});
    }
    const std::size_t slot = jump_consistent_hash(hash_of(request.context.tenant_id), channels.size());
    const std::shared_ptr<RunnerChannel> channel = channels[slot];
    if (!channel || !channel->is_up()) {
      co_return std::unexpected(DispatchFailure{
          fail(ErrorCode::kRunnerUnavailable, "The runner is being started; retry in a moment.").error(), false});
    }
    const Millis give_up = request.limits.timeout + slack_;
    request.handle = executions_.mint(std::move(install), clock_.steady_now() + give_up, request.context);
    auto outcome = co_await channel->execute(request, give_up, early_end);
    const broker::LivePtr used = executions_.end(request.handle);
    if (outcome && used) {
      // The runner's word does not count.
      outcome->usage.egress_bytes = used->egress_bytes;
      outcome->usage.denied_host_calls = used->denied_host_calls;
    }
    co_return outcome;
  }

  std::vector<std::shared_ptr<RunnerChannel>> channels;

 private:
  broker::ExecutionTable& executions_;
  const Clock& clock_;
  Millis slack_;
};

struct RunnerSupervisor::Slot {
  std::atomic<pid_t> pid = 0;
  mutable std::mutex mutex;
  std::string health;  // guarded by `mutex`; "" before the runner's first word
};

// Of one process: why it must go, as one of its channels says. Used on core 0 only.
struct RunnerSupervisor::Fate {
  process::ChildProcess* child = nullptr;  // null once it has been waited for
  std::string sentence;
};

RunnerSupervisor::RunnerSupervisor(Cores& cores, SupervisorOptions options, ModuleProvider& modules,
                                   broker::Broker& broker, std::vector<broker::ExecutionTable*> executions,
                                   extensions::InstallDirectory& installs, const Clock& clock,
                                   metrics::Registry& registry)
    : cores_(cores),
      options_(std::move(options)),
      modules_(modules),
      broker_(broker),
      executions_(std::move(executions)),
      installs_(installs),
      clock_(clock),
      restarts_(registry.counter("runner_restarts_total", "Runner processes that ended and were started again.")),
      misbehaved_(registry.counter("runner_misbehaved_total",
                                   "Runner processes that were killed for what they said, or for saying nothing.")) {
  BH_ASSERT(options_.processes > 0 && executions_.size() == cores_.size());
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    dispatchers_.push_back(
        std::make_unique<CoreDispatcher>(options_.processes, *executions_[core], clock_, options_.give_up_slack));
  }
  for (std::size_t slot = 0; slot < options_.processes; ++slot) slots_.push_back(std::make_unique<Slot>());
}

RunnerSupervisor::~RunnerSupervisor() = default;

Dispatcher& RunnerSupervisor::dispatcher(std::size_t core) { return *dispatchers_.at(core); }

void RunnerSupervisor::forget_modules() {
  // A runner has one module cache, so its channel of core 0 speaks for all.
  asio::post(cores_.at(0).executor(), [this] {
    for (const auto& channel : dispatchers_[0]->channels) {
      if (channel && channel->is_up()) channel->forget_modules();
    }
  });
}

std::vector<pid_t> RunnerSupervisor::pids() const {
  std::vector<pid_t> up;
  for (const auto& slot : slots_) {
    if (const pid_t pid = slot->pid; pid > 0) up.push_back(pid);
  }
  return up;
}

std::vector<std::string> RunnerSupervisor::healths() const {
  std::vector<std::string> up;
  for (const auto& slot : slots_) {
    const std::lock_guard lock(slot->mutex);
    if (slot->pid > 0 && !slot->health.empty()) up.push_back(slot->health);
  }
  return up;
}

void RunnerSupervisor::start() {
  supervised_ = slots_.size();
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    cores_.spawn(0, [this, slot]() -> Task<> {
      co_await supervise(slot);
      --supervised_;
    });
  }
}

Result<process::ChildProcess> RunnerSupervisor::spawn_runner(std::vector<process::UniqueFd>& ours) {
  process::ChildOptions child;
  child.program = options_.program;
  child.arguments = options_.arguments;
  child.directory = "/";
  child.stdout_to = process::Stdio::null();
  child.limits = {{RLIMIT_CORE, 0, 0}};
  child.pid_namespace = process::ChildOptions::PidNamespace::kOwnIfPossible;
  std::vector<process::UniqueFd> theirs;
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    BH_TRY(auto pair, process::make_socket_pair());
    ours.push_back(std::move(pair.first));
    theirs.push_back(std::move(pair.second));
    child.fds.push_back({.fd = theirs.back().get(), .as = kFirstChannelFd + static_cast<int>(core)});
  }
  child.arguments.insert(child.arguments.end(), {"--channels", std::to_string(cores_.size())});
  if (options_.http_listener >= 0) {
    const int as = kFirstChannelFd + static_cast<int>(cores_.size());
    child.fds.push_back({.fd = options_.http_listener, .as = as});
    child.arguments.insert(child.arguments.end(), {"--listener-fd", std::to_string(as)});
  }
  return process::ChildProcess::spawn(child);
}

// On core 0. A channel that ends is how a process that dies looks first: that is no sentence of its own.
void RunnerSupervisor::condemn(std::size_t slot, Fate& fate, const std::string& why, Blame blame) {
  if (stopping_ || fate.child == nullptr || !fate.sentence.empty()) return;
  fate.sentence = why;
  if (blame == Blame::kRunner) {
    misbehaved_.add();
    log::error("runner_misbehaved", {{"slot", slot}, {"pid", fate.child->pid()}, {"why", why}});
  }
  static_cast<void>(fate.child->kill(SIGKILL));
}

ChannelEvents RunnerSupervisor::events_of(std::size_t slot, const std::shared_ptr<Fate>& fate) {
  return {.ready =
              [this, slot](const std::string& health_json) {
                const std::lock_guard lock(slots_[slot]->mutex);
                slots_[slot]->health = health_json;
              },
          .broken =
              [this, slot, fate](const std::string& why, Blame blame) {
                asio::post(cores_.at(0).executor(),
                           [this, slot, fate, why, blame] { condemn(slot, *fate, why, blame); });
              }};
}

void RunnerSupervisor::hand_out(std::size_t slot, std::vector<process::UniqueFd> sockets,
                                const std::shared_ptr<Fate>& fate) {
  const OutsideCalls outside = options_.http_listener >= 0 ? OutsideCalls::kServed : OutsideCalls::kNone;
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    auto socket = std::make_shared<process::UniqueFd>(std::move(sockets[core]));
    cores_.spawn(core, [this, slot, core, socket, fate, outside]() -> Task<> {
      auto channel = std::make_shared<RunnerChannel>(
          cores_.at(core).executor(), std::move(*socket),
          ChannelServices{modules_, broker_, *executions_[core], installs_, clock_, outside}, events_of(slot, fate));
      dispatchers_[core]->channels[slot] = channel;
      co_await channel->run();
    });
  }
}

Task<> RunnerSupervisor::watch(std::size_t slot, process::ChildProcess& child, Fate& fate) {
  while (!stopping_) {
    const auto ended = co_await child.wait(options_.ping_interval);
    if (ended || ended.error().code != ErrorCode::kDeadlineExceeded) {
      const bool asked = ended && ended->success() && fate.sentence.empty();  // our SIGTERM, or the group's
      log::write(asked ? log::Level::kInfo : log::Level::kError, "runner_ended",
                 {{"slot", slot}, {"how", ended ? ended->to_string() : ended.error().detail}, {"why", fate.sentence}});
      co_return;
    }
    // Core 0's own channel speaks for the process: its event loop is one thread.
    const auto& channel = dispatchers_[0]->channels[slot];
    if (!channel || !channel->is_up()) continue;
    if (clock_.steady_now() - channel->last_heard() > options_.silence_limit) {
      condemn(slot, fate, "silent", Blame::kRunner);
    } else {
      channel->ping();
    }
  }
}

Task<> RunnerSupervisor::supervise(std::size_t slot) {
  SystemRandom random;
  Millis backoff = options_.first_backoff;
  while (!stopping_) {
    const SteadyTime started = clock_.steady_now();
    std::vector<process::UniqueFd> sockets;
    auto child = spawn_runner(sockets);
    if (child) {
      slots_[slot]->pid = child->pid();
      log::info("runner_started", {{"slot", slot}, {"pid", child->pid()}});
      const auto fate = std::make_shared<Fate>();
      fate->child = &*child;
      hand_out(slot, std::move(sockets), fate);
      co_await watch(slot, *child, *fate);
      if (stopping_) co_await child->stop(Millis(2'000));
      fate->child = nullptr;
      slots_[slot]->pid = 0;
      const std::lock_guard lock(slots_[slot]->mutex);
      slots_[slot]->health.clear();
    } else {
      log::error("runner_not_started", child.error(), {{"slot", slot}});
    }
    if (stopping_) break;
    restarts_.add();
    // A runner that lived a while starts over at the first step.
    if (clock_.steady_now() - started > options_.max_backoff * 2) backoff = options_.first_backoff;
    co_await sleep_for(backoff + Millis(random.below(static_cast<std::uint64_t>(backoff.count()) + 1)));
    backoff = std::min(options_.max_backoff, backoff * 2);
  }
}

Task<> RunnerSupervisor::stop(Millis grace) {
  const SteadyTime give_up = clock_.steady_now() + grace;
  stopping_ = true;
  while (supervised_ > 0 && clock_.steady_now() < give_up) co_await sleep_for(Millis(20));
}

}  // namespace bulkhead::runners
