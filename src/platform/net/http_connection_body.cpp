#include "platform/net/http_connection.h"

// How a connection reads the body of a request (RFC 9112 §6).
namespace bulkhead::net {
namespace {

// An unread body up to this size is read and dropped so that the connection can be used again.
constexpr std::size_t kSkipLimit = 65'536;
// Memory is given to a body as it arrives, not as content-length promises.
constexpr std::size_t kBodyStep = 65'536;

}  // namespace

void Connection::begin_body(const BodyPlan& plan) {
  const HeadFacts& facts = parser_.facts();
  body_ = facts.chunked ? BodyState::kChunked : facts.content_length > 0 ? BodyState::kLength : BodyState::kNone;
  body_left_ = facts.content_length;
  body_deadline_ = request_.received_at + plan.deadline;
  body_broken_ = false;
  continue_due_ = facts.expects_continue && facts.has_body();
  chunks_ = ChunkDecoder(plan.limit);
  request_.stream = nullptr;
  if (request_.body.capacity() > 2 * kBodyStep) request_.body = std::string();
  request_.body.clear();
}

bool Connection::can_skip_body() const {
  if (!has_unread_body()) return true;
  // A client that still waits for 100 Continue may or may not send its body: nobody knows where the next request
  // begins.
  if (body_broken_ || continue_due_) return false;
  return body_ == BodyState::kChunked || body_left_ <= kSkipLimit;
}

bool Connection::take_ready_body() {
  if (body_ == BodyState::kNone) return true;
  if (body_ != BodyState::kLength || stream_.input().size() < body_left_) return false;
  request_.body.assign(stream_.input().substr(0, body_left_));
  stream_.consume(body_left_);
  body_ = BodyState::kNone;
  continue_due_ = false;
  return true;
}

Task<Status> Connection::read_whole_body() {
  std::string& body = request_.body;
  std::size_t size = 0;
  while (has_unread_body()) {
    if (size == body.size()) {
      const std::size_t step = std::max(size, kBodyStep);
      body.resize(size + (body_ == BodyState::kLength ? std::min<std::uint64_t>(step, body_left_) : step));
    }
    BH_CO_TRY(const std::size_t count, co_await read({body.data() + size, body.size() - size}));
    size += count;
  }
  body.resize(size);
  co_return Status{};
}

Task<bool> Connection::skip_body() {
  std::array<char, 4096> scratch;
  std::size_t skipped = 0;
  while (has_unread_body()) {
    const auto count = co_await read(scratch);
    if (!count) co_return false;
    skipped += *count;
    if (skipped > kSkipLimit) co_return false;
  }
  co_return true;
}

std::unexpected<Error> Connection::body_failure(Waited waited) {
  body_broken_ = true;
  return fail(waited == Waited::kTimedOut ? ErrorCode::kRequestTimeout : ErrorCode::kCancelled);
}

Task<Result<std::size_t>> Connection::read(std::span<char> into) {
  if (body_broken_) co_return fail(ErrorCode::kCancelled);
  if (body_ == BodyState::kNone || into.empty()) co_return 0;
  if (stream_.input().empty()) {
    if (continue_due_) stream_.output() += "HTTP/1.1 100 Continue\r\n\r\n";
    if (stream_.has_output() && !co_await flush()) co_return body_failure(Waited::kClosed);
  }
  continue_due_ = false;
  if (body_ == BodyState::kChunked) co_return co_await read_chunked(into);

  const std::size_t most = std::min<std::uint64_t>(into.size(), body_left_);
  const auto [waited, count] = co_await stream_.read_some(into.first(most), body_deadline_);
  if (waited != Waited::kDone) co_return body_failure(waited);
  body_left_ -= count;
  if (body_left_ == 0) body_ = BodyState::kNone;
  co_return count;
}

Task<Result<std::size_t>> Connection::read_chunked(std::span<char> into) {
  while (true) {
    const auto progress = chunks_.decode(stream_.input(), into);
    if (!progress) {
      body_broken_ = true;
      co_return fail(progress.error());
    }
    stream_.consume(progress->consumed);
    if (chunks_.done()) body_ = BodyState::kNone;
    if (chunks_.done() || progress->produced > 0) co_return progress->produced;
    if (stream_.has_output() && !co_await flush()) co_return body_failure(Waited::kClosed);
    const Waited waited = co_await stream_.fill(body_deadline_);
    if (waited != Waited::kDone) co_return body_failure(waited);
  }
}

}  // namespace bulkhead::net
