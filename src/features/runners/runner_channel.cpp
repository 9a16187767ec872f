#include "features/runners/runner_channel.h"

#include <fcntl.h>

#include "base/utf8.h"
#include "platform/async/cores.h"
#include "platform/observe/log.h"

namespace bulkhead::runners {
namespace {

constexpr std::size_t kReadSize = 256 * 1024;
constexpr Millis kSweepInterval{100};
// A runner is hostile until proven otherwise: it may not pile up work in the server.
constexpr std::size_t kMaxServing = 4096;
constexpr std::size_t kMaxHealth = 8 * 1024;
// Handles for outside callers live as long as the longest execution may.
constexpr Millis kOpenedLifetime = protocol::kMaxTimeout + Millis(5'000);

DispatchFailure runner_gone() {
  return {
      fail(ErrorCode::kRunnerUnavailable, "The runner stopped while it ran this call; it is being restarted.").error(),
      true};
}

process::ChannelLimits channel_limits() { return {.queued = 256_MiB, .waiting_fds = 0}; }

}  // namespace

RunnerChannel::RunnerChannel(const Executor& executor, process::UniqueFd socket, ChannelServices services,
                             ChannelEvents events)
    : executor_(executor),
      socket_(executor, std::move(socket), channel_limits()),
      services_(services),
      events_(std::move(events)),
      conduct_(services.outside),
      last_heard_(services.clock.steady_now()) {}

void RunnerChannel::spawn(Task<> work) {
  asio::co_spawn(executor_, std::move(work), [](const std::exception_ptr& escaped) {
    if (escaped) std::terminate();
  });
}

Task<> RunnerChannel::run() {
  const auto self = shared_from_this();
  spawn(sweep());
  std::string buffer;
  std::string piece(kReadSize, '\0');
  while (up_) {
    const auto received = co_await socket_.receive(piece);
    if (!received || *received == 0) {
      const bool refused = !received && received.error().code == ErrorCode::kBadRequest;
      break_channel(refused ? "it sent descriptors" : "the channel ended", refused ? Blame::kRunner : Blame::kNobody);
      break;
    }
    last_heard_ = services_.clock.steady_now();
    buffer.append(piece, 0, *received);
    if (const auto consumed = consume(buffer); !consumed) {
      break_channel(consumed.error().message, Blame::kRunner);
    }
  }
}

Status RunnerChannel::consume(std::string& buffer) {
  std::size_t at = 0;
  while (true) {
    const std::string_view rest = std::string_view(buffer).substr(at);
    BH_TRY(const auto header, protocol::peek_frame(rest));
    if (!header) break;
    const std::size_t whole = sizeof(std::uint32_t) + header->length;
    if (rest.size() < whole) break;
    BH_TRY_VOID(handle_frame(*header, rest.substr(0, whole).substr(protocol::kFrameHeaderSize)));
    at += whole;
  }
  buffer.erase(0, at);
  return {};
}

Status RunnerChannel::handle_frame(const protocol::FrameHeader& header, std::string_view payload) {
  switch (header.type) {
    case protocol::FrameType::kResult:
      return handle_result(header.id, payload);
    case protocol::FrameType::kPong:
      // Its word on its own walls, from before the first guest ran in it.
      if (health_.empty()) {
        health_ = clean_utf8(payload, kMaxHealth);
        log::info("runner_ready", {{"health", health_}});
        if (events_.ready) events_.ready(health_);
      }
      return {};
    case protocol::FrameType::kStats:
      return {};
    case protocol::FrameType::kNeedModule:
    case protocol::FrameType::kHostCall:
    case protocol::FrameType::kOpen:
      break;
    default:
      return fail(ErrorCode::kBadRequest, "a frame that only a supervisor sends");
  }
  if (serving_ >= kMaxServing) return fail(ErrorCode::kBadRequest, "too many requests of one runner");
  if (header.type == protocol::FrameType::kNeedModule) {
    BH_TRY(const ContentHash hash, protocol::parse_need_module(payload));
    BH_TRY_VOID(conduct_.needs_module(hash));
    spawn(serve_module(hash));
  } else if (header.type == protocol::FrameType::kHostCall) {
    BH_TRY(auto call, protocol::parse_host_call(payload));
    return begin_host_call(header.id, std::move(call));
  } else {
    BH_TRY(auto context, protocol::parse_open(payload));
    spawn(serve_open(header.id, std::move(context)));
  }
  return {};
}

Status RunnerChannel::handle_result(std::uint64_t id, std::string_view payload) {
  BH_TRY(auto response, protocol::parse_result(payload));
  if (!complete(id, std::move(response))) return conduct_.result_of_nothing();
  conduct_.answered();
  return {};
}

Status RunnerChannel::begin_host_call(std::uint64_t id, protocol::HostCall call) {
  const broker::LivePtr live = services_.executions.find(call.handle);
  if (live) {
    BH_TRY_VOID(conduct_.begins_host_call(call.handle, live->host_calls, live->install->limits.host_calls));
  } else {
    BH_TRY_VOID(conduct_.names_unknown_handle());
  }
  spawn(serve_host_call(id, std::move(call)));
  return {};
}

Task<RunnerChannel::Outcome> RunnerChannel::execute(const protocol::ExecuteRequest& request, Millis give_up,
                                                    EarlyEnd* early_end) {
  const auto self = shared_from_this();
  if (!up_) co_return std::unexpected(DispatchFailure{fail(ErrorCode::kRunnerUnavailable).error(), false});
  const std::uint64_t id = next_id_++;
  std::string frame;
  protocol::append_execute(frame, id, request);
  if (frame.size() > protocol::kMaxFrame) {
    co_return std::unexpected(DispatchFailure{fail(ErrorCode::kPayloadTooLarge).error(), false});
  }
  if (auto sent = socket_.send(std::move(frame)); !sent) {
    const bool full = sent.error().code == ErrorCode::kOverloaded;
    co_return std::unexpected(
        DispatchFailure{fail(full ? ErrorCode::kRunnerOverloaded : ErrorCode::kRunnerUnavailable).error(), false});
  }
  conduct_.sent(request.context.content_hash);
  // The runner answers a cancelled call too: with what it has used until then.
  if (early_end != nullptr) early_end->on_request([this, id] { send_cancel(id); });
  const SteadyTime deadline = services_.clock.steady_now() + give_up;
  auto outcome = co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void(Outcome)>(
      [this, id, deadline](auto handler) {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        pending_.emplace(id, Pending{[shared](Outcome result) { std::move (*shared)(std::move(result)); }, deadline});
      },
      use_task);
  if (early_end != nullptr) early_end->on_request(nullptr);
  co_return outcome;
}

bool RunnerChannel::complete(std::uint64_t id, Outcome outcome) {
  const auto found = pending_.find(id);
  if (found == pending_.end()) return false;  // given up already
  auto complete = std::move(found->second.complete);
  pending_.erase(found);
  complete(std::move(outcome));
  return true;
}

void RunnerChannel::break_channel(const std::string& why, Blame blame) {
  if (!up_) return;
  const auto self = shared_from_this();
  up_ = false;
  if (events_.broken) events_.broken(why, blame);
  socket_.close();
  // Completing resumes callers, who may look at this channel: empty the map first.
  auto waiting = std::move(pending_);
  pending_.clear();
  for (auto& [id, pending] : waiting) pending.complete(std::unexpected(runner_gone()));
}

void RunnerChannel::close() { break_channel("closed", Blame::kNobody); }

void RunnerChannel::ping() {
  std::string frame;
  protocol::append_signal(frame, protocol::FrameType::kPing, next_id_++);
  send(std::move(frame));
}

void RunnerChannel::forget_modules() {
  std::string frame;
  protocol::append_signal(frame, protocol::FrameType::kForget, next_id_++);
  send(std::move(frame));
}

void RunnerChannel::send(std::string bytes, process::UniqueFd fd, process::AfterSending after) {
  if (!up_) return;
  if (auto sent = socket_.send(std::move(bytes), std::move(fd), after); !sent) {
    const bool unread = sent.error().code == ErrorCode::kOverloaded;
    break_channel(unread ? "it does not read" : "the channel broke", unread ? Blame::kRunner : Blame::kNobody);
  }
}

Task<> RunnerChannel::sweep() {
  const auto self = shared_from_this();
  while (up_) {
    co_await sleep_for(kSweepInterval);
    if (up_) cancel_overdue();
  }
}

void RunnerChannel::send_cancel(std::uint64_t id) {
  std::string frame;
  protocol::append_cancel(frame, id);
  send(std::move(frame));
}

void RunnerChannel::cancel_overdue() {
  const SteadyTime now = services_.clock.steady_now();
  std::vector<std::uint64_t> overdue;
  for (const auto& [id, pending] : pending_) {
    if (now >= pending.give_up) overdue.push_back(id);
  }
  for (const std::uint64_t id : overdue) {
    send_cancel(id);
    complete(id, std::unexpected(DispatchFailure{
                     fail(ErrorCode::kDeadlineExceeded, "The runner did not answer in time.").error(), true}));
    if (const auto conduct = conduct_.overdue(); !conduct) break_channel(conduct.error().message, Blame::kRunner);
  }
}

Task<> RunnerChannel::serve_module(ContentHash hash) {
  const auto self = shared_from_this();
  ++serving_;
  auto handover = co_await services_.modules.provide(hash);
  --serving_;
  std::string frame;
  if (!handover) {
    log::warn("module_not_provided", handover.error(), {{"content_hash", hash.to_string()}});
    protocol::append_no_module(frame, hash, handover.error());
    send(std::move(frame));
    co_return;
  }
  process::UniqueFd copy(::fcntl(handover->code->get(), F_DUPFD_CLOEXEC, 3));
  if (!copy) {
    protocol::append_no_module(frame, hash, fail(ErrorCode::kBundleFetchFailed, "", "out of descriptors").error());
    send(std::move(frame));
    co_return;
  }
  protocol::append_module(frame, handover->offer);
  send(std::move(frame), std::move(copy));
}

Task<> RunnerChannel::serve_host_call(std::uint64_t id, protocol::HostCall call) {
  const auto self = shared_from_this();
  ++serving_;
  const ExecutionHandle handle = call.handle;
  protocol::HostResult result = co_await services_.broker.call(services_.executions, std::move(call));
  --serving_;
  conduct_.ends_host_call(handle);
  std::string frame;
  protocol::append_host_result(frame, id, result);
  if (result.is_secret) wipe(result.response_json);
  send(std::move(frame), {}, result.is_secret ? process::AfterSending::kWipe : process::AfterSending::kFree);
}

Task<> RunnerChannel::serve_open(std::uint64_t id, protocol::ExecuteContext context) {
  const auto self = shared_from_this();
  ++serving_;
  const auto install = co_await services_.installs.find_install(context.install_id);
  --serving_;
  protocol::HostResult result;
  const bool known = install && *install != nullptr;
  const bool agrees = known && (*install)->tenant_id == context.tenant_id &&
                      (*install)->extension_id == context.extension_id &&
                      ((*install)->current->content_hash == context.content_hash ||
                       ((*install)->rollout && (*install)->rollout->content_hash == context.content_hash));
  if (agrees) {
    const ExecutionHandle handle =
        services_.executions.mint(*install, services_.clock.steady_now() + kOpenedLifetime, context);
    result.response_json.assign(reinterpret_cast<const char*>(handle.bytes().data()), handle.bytes().size());
  } else {
    result = {protocol::HostCode::kDenied, R"({"error":{"code":"no_execution","message":"No such install."}})"};
  }
  std::string frame;
  protocol::append_host_result(frame, id, result);
  send(std::move(frame));
}

}  // namespace bulkhead::runners
