#include "platform/net/socket_stream.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/asio/redirect_error.hpp>
#include <cerrno>
#include <cstring>

namespace bulkhead::net {
namespace {

constexpr std::size_t kFirstBuffer = 4096;  // what an idle connection costs
constexpr std::size_t kKeptOutput = 65'536;

// Takes `count` sent bytes off the front of `text`; what is left of the count comes back.
std::size_t take(std::string_view& text, std::size_t count) {
  const std::size_t taken = std::min(count, text.size());
  text.remove_prefix(taken);
  return count - taken;
}

iovec piece(std::string_view text) { return {.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()}; }

}  // namespace

SocketStream::SocketStream(StreamSocket socket, TimerWheel& wheel, std::size_t input_limit)
    : socket_(std::move(socket)),
      wheel_(wheel),
      deadline_([this] {
        timed_out_ = true;
        cancel();
      }),
      input_limit_(input_limit) {}

void SocketStream::consume(std::size_t count) {
  begin_ += count;
  if (begin_ == end_) begin_ = end_ = 0;
}

bool SocketStream::make_room() {
  if (end_ < capacity_) return true;
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    return true;
  }
  if (capacity_ >= input_limit_) return false;
  const std::size_t wanted = std::clamp(capacity_ * 2, std::min(kFirstBuffer, input_limit_), input_limit_);
  auto larger = std::make_unique_for_overwrite<char[]>(wanted);
  if (end_ > 0) std::memcpy(larger.get(), buffer_.get(), end_);
  buffer_ = std::move(larger);
  capacity_ = wanted;
  return true;
}

Task<SocketStream::Read> SocketStream::receive(std::span<char> into, SteadyTime deadline) {
  timed_out_ = false;
  wheel_.arm(deadline_, deadline);
  boost::system::error_code failure;
  const std::size_t count =
      co_await socket_.async_receive(asio::buffer(into.data(), into.size()), asio::redirect_error(use_task, failure));
  wheel_.disarm(deadline_);
  if (!failure) co_return Read{Waited::kDone, count};
  co_return Read{timed_out_ ? Waited::kTimedOut : Waited::kClosed, 0};
}

Task<Waited> SocketStream::fill(SteadyTime deadline) {
  if (!make_room()) co_return Waited::kFull;
  const Read read = co_await receive({buffer_.get() + end_, capacity_ - end_}, deadline);
  end_ += read.count;
  co_return read.waited;
}

Task<SocketStream::Read> SocketStream::read_some(std::span<char> into, SteadyTime deadline) {
  const std::string_view ready = input().substr(0, into.size());
  if (ready.empty()) co_return co_await receive(into, deadline);
  std::memcpy(into.data(), ready.data(), ready.size());
  consume(ready.size());
  co_return Read{Waited::kDone, ready.size()};
}

SocketStream::Sent SocketStream::send_now(std::string_view& borrowed, std::string_view& tail) {
  while (true) {
    std::string_view queued = std::string_view(output_).substr(sent_);
    if (queued.empty() && borrowed.empty() && tail.empty()) break;
    if (broken_) return Sent::kBroken;
    std::array<iovec, 3> pieces = {piece(queued), piece(borrowed), piece(tail)};
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = pieces.size();
    const ssize_t count = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return Sent::kSome;
      broken_ = true;
      return Sent::kBroken;
    }
    std::size_t left = take(queued, static_cast<std::size_t>(count));
    sent_ = output_.size() - queued.size();
    left = take(borrowed, left);
    take(tail, left);
  }
  sent_ = 0;
  if (output_.capacity() > kKeptOutput) {
    output_ = std::string();
  } else {
    output_.clear();
  }
  return Sent::kAll;
}

Task<bool> SocketStream::flush_slowly(Millis timeout, std::string_view borrowed, std::string_view tail) {
  while (true) {
    timed_out_ = false;
    wheel_.arm(deadline_, std::chrono::steady_clock::now() + timeout);
    boost::system::error_code failure;
    co_await socket_.async_wait(StreamSocket::wait_write, asio::redirect_error(use_task, failure));
    wheel_.disarm(deadline_);
    if (failure) broken_ = true;
    switch (send_now(borrowed, tail)) {
      case Sent::kAll:
        co_return true;
      case Sent::kBroken:
        co_return false;
      case Sent::kSome:
        break;
    }
  }
}

Task<bool> SocketStream::flush(Millis timeout, std::string_view borrowed, std::string_view tail) {
  const Sent sent = send_now(borrowed, tail);
  if (sent != Sent::kSome) co_return sent == Sent::kAll;
  flushing_ = true;
  const bool whole = co_await flush_slowly(timeout, borrowed, tail);
  flushing_ = false;
  co_return whole;
}

void SocketStream::flush_without_waiting() {
  if (flushing_ || !has_output()) return;
  std::string_view nothing, no_tail;
  send_now(nothing, no_tail);
}

void SocketStream::cancel() {
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

bool SocketStream::peer_gone() const {
  pollfd look{.fd = const_cast<StreamSocket&>(socket_).native_handle(), .events = POLLRDHUP, .revents = 0};
  return ::poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void SocketStream::shutdown_send() {
  boost::system::error_code ignored;
  socket_.shutdown(StreamSocket::shutdown_send, ignored);
}

void SocketStream::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void SocketStream::reset() {
  boost::system::error_code ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  close();
}

}  // namespace bulkhead::net
