// RunnerChannel: serve's end of one channel (protocol/frames.h) to one runner process, on one core.
//
// Sends executions and awaits their results; serves what the runner asks for meanwhile: modules (ModuleProvider), host
// calls (Broker, by execution handle) and handles for outside callers (InstallDirectory). Whatever is malformed, or
// what no honest runner says (RunnerConduct), breaks the channel: every waiting call ends with kRunnerUnavailable and
// the supervisor replaces the process. Owned by the core's dispatcher; the read loop and running host calls hold it
// too. Used on its core's thread only.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "features/broker/broker.h"
#include "features/broker/execution_table.h"
#include "features/extensions/installed.h"
#include "features/runners/dispatcher.h"
#include "features/runners/module_provider.h"
#include "features/runners/runner_conduct.h"
#include "platform/process/fd_passing.h"

namespace bulkhead::runners {

// What a channel serves its runner with. All outlive it.
struct ChannelServices {
  ModuleProvider& modules;
  broker::Broker& broker;
  broker::ExecutionTable& executions;  // this core's
  extensions::InstallDirectory& installs;
  const Clock& clock;
  OutsideCalls outside = OutsideCalls::kNone;
};

// Why a channel broke: the runner said (or did not say) what an honest one would, or the channel merely ended.
enum class Blame : std::uint8_t { kNobody, kRunner };

// What the supervisor hears of a channel, on the channel's thread.
struct ChannelEvents {
  // The runner's first word: its health, of which its sandbox layers are a part. From before its first guest.
  std::function<void(const std::string& health_json)> ready;
  // Once: the process must go.
  std::function<void(const std::string& why, Blame blame)> broken;
};

class RunnerChannel : public std::enable_shared_from_this<RunnerChannel> {
 public:
  using Outcome = std::expected<protocol::ExecuteResponse, DispatchFailure>;

  RunnerChannel(const Executor& executor, process::UniqueFd socket, ChannelServices services, ChannelEvents events);

  // Serves the runner until the channel breaks or is closed. Run once, detached.
  Task<> run();
  // `give_up`: how long to wait for the result before the call is cancelled (the runner's own time-out is shorter).
  // `early_end` may be null.
  Task<Outcome> execute(const protocol::ExecuteRequest& request, Millis give_up, EarlyEnd* early_end);
  bool is_up() const { return up_; }
  std::size_t in_flight() const { return pending_.size(); }
  // Breaks it; waiting calls end.
  void close();
  // Asks for a sign of life; `last_heard` is when the runner last said anything.
  void ping();
  // Loaded modules don't count any more: the next call of each has its bundle verified again.
  void forget_modules();
  SteadyTime last_heard() const { return last_heard_; }

 private:
  struct Pending {
    std::move_only_function<void(Outcome)> complete;
    SteadyTime give_up;
  };
  Status handle_frame(const protocol::FrameHeader& header, std::string_view payload);
  Status consume(std::string& buffer);
  bool complete(std::uint64_t id, Outcome outcome);
  Status handle_result(std::uint64_t id, std::string_view payload);
  Status begin_host_call(std::uint64_t id, protocol::HostCall call);
  void break_channel(const std::string& why, Blame blame);
  void send(std::string bytes, process::UniqueFd fd = {}, process::AfterSending after = process::AfterSending::kFree);
  Task<> sweep();
  void send_cancel(std::uint64_t id);
  void cancel_overdue();
  Task<> serve_module(ContentHash hash);
  Task<> serve_host_call(std::uint64_t id, protocol::HostCall call);
  Task<> serve_open(std::uint64_t id, protocol::ExecuteContext context);
  void spawn(Task<> work);

  Executor executor_;
  process::ChannelSocket socket_;
  ChannelServices services_;
  ChannelEvents events_;
  RunnerConduct conduct_;
  bool up_ = true;
  std::uint64_t next_id_ = 1;
  std::size_t serving_ = 0;  // host calls and module requests being served for the runner
  SteadyTime last_heard_;
  std::string health_;  // of the first kPong
  std::unordered_map<std::uint64_t, Pending> pending_;
};

}  // namespace bulkhead::runners
