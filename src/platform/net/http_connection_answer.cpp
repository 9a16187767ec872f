#include <charconv>
#include <exception>
#include <utility>

#include "platform/net/http_connection.h"
#include "platform/observe/log.h"

// How a connection writes an answer (RFC 9112 §6, §7).
namespace bulkhead::net {
namespace {

// Up to here a copy into the queue is cheaper than another piece in the send.
constexpr std::size_t kCopyLimit = 16'384;
// Answers to pipelined requests are collected up to this size.
constexpr std::size_t kBatchLimit = 65'536;
constexpr Millis kLingerTime{2'000};
constexpr std::size_t kLingerBytes = 1'048'576;

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

std::optional<std::uint64_t> declared_length(const Response& response) {
  const auto text = response.headers.find("content-length");
  std::uint64_t length = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), length).ec != std::errc{}) {
    return std::nullopt;
  }
  return length;
}

void append_chunk_size(std::string& out, std::size_t size) {
  char text[20];
  out.append(text, std::to_chars(text, text + sizeof text, size, 16).ptr);
  out += "\r\n";
}

}  // namespace

void Connection::queue_head(const Response& response, BodyFraming framing, std::uint64_t length, bool keep_alive) {
  ServerMetrics& metrics = core_->shared->metrics;
  const std::size_t bad = append_head(stream_.output(), {.response = response,
                                                         .framing = framing,
                                                         .length = length,
                                                         .http11 = parser_.facts().http11,
                                                         .keep_alive = keep_alive,
                                                         .date = core_->date.now()});
  if (bad > 0) {
    metrics.bad_fields.add(bad);
    log::warn("http_bad_response_field", {{"fields", bad}, {"status", response.status}});
  }
  metrics.count_answer(response.status);
}

std::string_view Connection::queue_answer(const Response& response, bool keep_alive) {
  if (has_no_body(response.status)) {
    queue_head(response, BodyFraming::kNone, 0, keep_alive);
    return {};
  }
  if (request_.method == Method::kHead) {
    // RFC 9110 §9.3.2: the fields that GET would have, without the body.
    const auto declared = declared_length(response);
    const bool unknown = response.stream && !declared;
    queue_head(response, unknown ? BodyFraming::kNone : BodyFraming::kLength, declared.value_or(response.body.size()),
               keep_alive);
    return {};
  }
  queue_head(response, BodyFraming::kLength, response.body.size(), keep_alive);
  if (response.body.size() > kCopyLimit) return response.body;
  stream_.output() += response.body;
  return {};
}

Task<bool> Connection::answer(Response& response, bool keep_alive) {
  bool whole = true;
  if (response.stream && !has_no_body(response.status) && request_.method != Method::kHead) {
    whole = co_await stream_answer(response, keep_alive);
  } else {
    const std::string_view large = queue_answer(response, keep_alive);
    if (!large.empty() || stream_.output().size() > kBatchLimit) {
      whole = co_await stream_.flush(core_->shared->options.write_timeout, large);
    }
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - request_.received_at;
  core_->shared->metrics.seconds.observe(taken.count());
  co_return whole;
}

Task<bool> Connection::stream_answer(Response& response, bool keep_alive) {
  const auto declared = declared_length(response);
  writer_broken_ = false;
  writer_left_ = declared.value_or(0);
  writer_framing_ = declared                 ? BodyFraming::kLength
                    : parser_.facts().http11 ? BodyFraming::kChunked
                                             : BodyFraming::kClose;
  queue_head(response, writer_framing_, writer_left_, keep_alive);
  flush_soon();  // the head goes out even when the first piece takes its time
  try {
    co_await response.stream(*this);
  } catch (const std::exception& escaped) {
    log::error("http_stream_threw", {{"what", escaped.what()}});
    writer_broken_ = true;
  }
  if (writer_broken_ || (writer_framing_ == BodyFraming::kLength && writer_left_ > 0)) {
    // Without a length or chunks an orderly close would look like the end.
    if (writer_framing_ == BodyFraming::kClose) stream_.reset();
    co_return false;
  }
  if (writer_framing_ == BodyFraming::kChunked) stream_.output() += "0\r\n\r\n";
  co_return true;
}

Task<Status> Connection::write(std::string_view piece) {
  if (writer_broken_) co_return fail(ErrorCode::kCancelled);
  if (piece.empty()) co_return Status{};
  std::string_view borrowed = piece, tail;
  if (writer_framing_ == BodyFraming::kChunked) {
    append_chunk_size(stream_.output(), piece.size());
    tail = "\r\n";
  } else if (writer_framing_ == BodyFraming::kLength) {
    if (piece.size() > writer_left_) {
      writer_broken_ = true;
      co_return fail(ErrorCode::kInternal, {}, "more bytes than the answer's content-length");
    }
    writer_left_ -= piece.size();
  }
  if (piece.size() <= kCopyLimit) {
    stream_.output() += piece;
    stream_.output() += tail;
    borrowed = tail = {};
  }
  if (!co_await stream_.flush(core_->shared->options.write_timeout, borrowed, tail)) {
    writer_broken_ = true;
    co_return fail(ErrorCode::kCancelled);
  }
  co_return Status{};
}

void Connection::flush_soon() {
  asio::post(core_->core.executor(), [self = shared_from_this()] { self->stream_.flush_without_waiting(); });
}

void Connection::flush_at_end_of_turn() {
  if (std::exchange(flush_due_, true)) return;
  core_->answered.push_back(shared_from_this());
  if (core_->answered.size() > 1) return;
  // Behind everything that was ready when the turn began.
  asio::post(core_->core.executor(), [core = core_] {
    for (const auto& connection : std::exchange(core->answered, {})) connection->send_answers();
  });
}

void Connection::send_answers() {
  flush_due_ = false;
  stream_.flush_without_waiting();
  // A full socket is waited for before another request is taken.
  if (stream_.has_output() && receiving_head_) stream_.cancel();
}

Task<> Connection::linger() {
  stream_.shutdown_send();
  const SteadyTime deadline = std::chrono::steady_clock::now() + kLingerTime;
  std::array<char, 4096> scratch;
  for (std::size_t dropped = 0; dropped < kLingerBytes;) {
    const auto [waited, count] = co_await stream_.read_some(scratch, deadline);
    if (waited != Waited::kDone) break;
    dropped += count;
  }
}

}  // namespace bulkhead::net
