#include "platform/net/http_connection.h"

#include <exception>

#include "platform/observe/log.h"

namespace bulkhead::net {
namespace {

constexpr Millis kWatchInterval{250};
// How long a client may take for a request it sent just before a drain began.
constexpr Millis kLastRequest{500};

}  // namespace

Connection::Connection(std::shared_ptr<ServerCore> core, StreamSocket socket, const Peer& peer)
    : core_(std::move(core)),
      stream_(std::move(socket), core_->wheel, core_->shared->options.header_limit.value),
      parser_({.head = core_->shared->options.header_limit, .target = core_->shared->options.target_limit}),
      watch_([this] { watch_client(); }) {
  request_.peer = peer.address;
  request_.peer_port = peer.port;
  request_.peer_is_local_socket = peer.is_local_socket;
  request_.client = this;
  core_->connections.insert(this);
  core_->shared->open.fetch_add(1, std::memory_order_relaxed);
  core_->shared->metrics.opened.add();
}

Connection::~Connection() {
  core_->connections.erase(this);
  if (!core_->shared->abandoned.load(std::memory_order_relaxed)) core_->shared->metrics.closed.add();
  core_->shared->open.fetch_sub(1, std::memory_order_release);
}

Task<> Connection::serve(std::shared_ptr<Connection> self) {
  while (co_await self->serve_one()) {
  }
  self->stream_.close();
}

Task<> Connection::turn_away(std::shared_ptr<Connection> self) {
  co_await self->refuse(fail(ErrorCode::kOverloaded, "The server has too many connections.").error());
  self->stream_.close();
}

void Connection::wind_down() {
  if (waits_for_request_) stream_.cancel();
}

SteadyTime Connection::head_deadline(bool idle) {
  const HttpServerOptions& options = core_->shared->options;
  const SteadyTime now = std::chrono::steady_clock::now();
  if (idle) {
    head_deadline_ = {};
    return now + (core_->shared->draining.load(std::memory_order_relaxed) ? kLastRequest : options.idle_timeout);
  }
  if (head_deadline_ == SteadyTime{}) head_deadline_ = now + options.header_timeout;
  return head_deadline_;
}

Task<bool> Connection::serve_one() {
  request_.method = Method::kOther;  // until the head is read: a refusal of it has a body
  auto head = parser_.parse_head(stream_.input(), request_);
  while (head && !*head) {
    const bool idle = stream_.input().empty();
    if (idle && served_ && core_->shared->draining.load(std::memory_order_relaxed)) {
      co_await flush();
      co_return false;
    }
    if (stream_.has_output()) flush_at_end_of_turn();
    waits_for_request_ = idle;
    receiving_head_ = true;
    const Waited waited = co_await stream_.fill(head_deadline(idle));
    waits_for_request_ = receiving_head_ = false;
    if (waited == Waited::kDone) {
      head = parser_.parse_head(stream_.input(), request_);
    } else if (stream_.has_output()) {
      // The socket did not take all at the end of the turn, or the client has ended its side: answers first.
      if (!co_await flush()) co_return false;
    } else if (idle || waited == Waited::kClosed) {
      co_return false;
    } else {
      const auto code = waited == Waited::kFull ? ErrorCode::kHeadersTooLarge : ErrorCode::kRequestTimeout;
      co_return co_await refuse(fail(code).error());
    }
  }
  head_deadline_ = {};
  if (!head) co_return co_await refuse(std::move(head.error()));
  stream_.consume(**head);
  served_ = true;
  co_return co_await answer_request();
}

Task<bool> Connection::answer_request() {
  HttpService& service = core_->shared->service;
  request_.received_at = std::chrono::steady_clock::now();
  const BodyPlan plan = service.plan(request_);
  begin_body(plan);
  if (parser_.facts().content_length > plan.limit.value) {
    co_return co_await refuse(
        fail(ErrorCode::kPayloadTooLarge, "The body may have at most " + to_string(plan.limit) + ".").error());
  }
  if (plan.mode == BodyPlan::Mode::kStreamed) {
    request_.stream = this;
  } else if (!take_ready_body()) {
    if (Status read = co_await read_whole_body(); !read) co_return co_await refuse(std::move(read.error()));
  }

  if (stream_.has_output()) flush_soon();  // earlier answers must not wait for a slow handler
  Response response;
  bool threw = false;
  try {
    response = co_await service.handle(request_);
  } catch (const std::exception& escaped) {
    log::error("http_handler_threw", {{"what", escaped.what()}, {"method", request_.method_text}});
    threw = true;
  }
  if (threw) co_return co_await refuse(fail(ErrorCode::kInternal).error());

  const bool ends_by_close = response.stream && !parser_.facts().http11;
  const bool keep_alive = parser_.facts().keep_alive && !response.close && !ends_by_close && can_skip_body() &&
                          !core_->shared->draining.load(std::memory_order_relaxed);
  const bool whole = co_await answer(response, keep_alive);
  when_gone_ = nullptr;
  if (!whole) co_return false;
  if (keep_alive && (!has_unread_body() || co_await skip_body())) co_return true;
  if (co_await flush() && (has_unread_body() || !stream_.input().empty())) co_await linger();
  co_return false;
}

Task<bool> Connection::refuse(Error error) {
  when_gone_ = nullptr;
  if (error.code == ErrorCode::kCancelled) co_return false;  // nobody is there to read it
  core_->shared->metrics.count_refusal(error.code);
  Response response = core_->shared->service.refuse(error);
  response.stream = nullptr;
  request_.received_at = std::chrono::steady_clock::now();
  if (co_await answer(response, false) && co_await flush()) co_await linger();
  co_return false;
}

// --- what a handler learns about its client ----------------------------------------------------------------------
void Connection::when_gone(std::move_only_function<void()> then) {
  when_gone_ = std::move(then);
  if (when_gone_) core_->wheel.arm(watch_, std::chrono::steady_clock::now() + kWatchInterval);
}

void Connection::watch_client() {
  if (!when_gone_) return;
  if (gone()) {
    std::exchange(when_gone_, nullptr)();
  } else {
    core_->wheel.arm(watch_, std::chrono::steady_clock::now() + kWatchInterval);
  }
}

}  // namespace bulkhead::net
