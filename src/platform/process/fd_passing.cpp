#include "platform/process/fd_passing.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <vector>

#include "platform/process/errno_error.h"

namespace bulkhead::process {
namespace {

constexpr std::size_t kMostFdsAtOnce = 253;  // SCM_MAX_FD
constexpr std::size_t kMostPieces = 64;

struct alignas(cmsghdr) SendControl {
  std::array<char, CMSG_SPACE(sizeof(int))> bytes{};
};

// One sendmsg; `fd` travels with the first byte. Returns the bytes sent or -errno.
ssize_t send_pieces(int socket, std::span<iovec> pieces, int fd, int flags) {
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  SendControl control;
  if (fd >= 0) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(socket, &message, flags | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

// One recvmsg; descriptors are appended to `fds`. Returns the bytes received, or -errno; -EBADMSG when descriptors were
// cut off. Room for as many descriptors as the kernel passes at once, so that none is left over unseen.
ssize_t receive_pieces(int socket, std::span<char> into, int flags, std::vector<UniqueFd>& fds) {
  struct alignas(cmsghdr) Control {
    std::array<char, CMSG_SPACE(sizeof(int) * kMostFdsAtOnce)> bytes;
  } control;
  iovec piece{.iov_base = into.data(), .iov_len = into.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  ssize_t got = -1;
  do {
    got = ::recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return -errno;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const auto count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return (message.msg_flags & MSG_CTRUNC) != 0 ? -EBADMSG : got;
}

bool would_block(ssize_t result) { return result == -EAGAIN || result == -EWOULDBLOCK; }

std::unexpected<Error> broken(int error) {
  return fail(ErrorCode::kUnavailable, "The channel is broken.", std::strerror(error));
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> make_socket_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return fail_errno(errno, "socketpair");
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

Status send_with_fd(int socket, std::string_view bytes, int fd) {
  BH_ASSERT(fd < 0 || !bytes.empty());
  while (!bytes.empty()) {
    // sendmsg does not write through iov_base.
    iovec piece{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
    const auto sent = send_pieces(socket, {&piece, 1}, fd, 0);
    if (sent < 0) return broken(static_cast<int>(-sent));
    fd = -1;  // it went with the first byte
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<ReceivedBytes> receive_with_fd(int socket, std::span<char> into) {
  BH_ASSERT(!into.empty());
  std::vector<UniqueFd> fds;
  const auto got = receive_pieces(socket, into, 0, fds);
  if (got == -EBADMSG || fds.size() > 1) return fail(ErrorCode::kBadRequest, "Too many descriptors at once.");
  if (got < 0) return broken(static_cast<int>(-got));
  return ReceivedBytes{.size = static_cast<std::size_t>(got), .fd = fds.empty() ? UniqueFd() : std::move(fds[0])};
}

// Shared with the handlers in flight, so that the ChannelSocket may go at any time.
struct ChannelSocket::State : std::enable_shared_from_this<State> {
  struct Piece {
    Piece(std::string held, UniqueFd passed, AfterSending then)
        : bytes(std::move(held)), fd(std::move(passed)), after(then) {}
    ~Piece() {
      if (after == AfterSending::kWipe) wipe(bytes);
    }
    Piece(const Piece&) = delete;
    Piece& operator=(const Piece&) = delete;
    std::string bytes;
    UniqueFd fd;
    AfterSending after;
  };
  using Timer =
      asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

  State(const Executor& executor, UniqueFd fd, ChannelLimits most)
      : socket(executor, fd.release()), limits(most), flushed(executor, Timer::time_point::max()) {}

  asio::posix::basic_stream_descriptor<Executor> socket;
  ChannelLimits limits;
  std::deque<Piece> pieces;
  std::size_t first_sent = 0;  // of the first piece
  std::size_t queued = 0;
  bool writing = false;  // a turn of `write_queued` is posted or waits for the socket
  int error = 0;         // errno once broken
  bool closed = false;
  std::deque<UniqueFd> fds;
  Timer flushed;  // cancelled when the queue is empty or the channel ends

  void end(int reason) {
    if (error == 0) error = reason;
    pieces.clear();
    queued = 0;
    flushed.cancel();
  }
  void write_soon() {
    if (writing) return;
    writing = true;
    asio::post(socket.get_executor(), [self = shared_from_this()] { self->write_queued(); });
  }
  void write_queued();
  ssize_t write_batch();
  void drop_sent(std::size_t sent);
};

// Everything queued up to the next piece that carries a descriptor (which must begin its own call).
ssize_t ChannelSocket::State::write_batch() {
  std::array<iovec, kMostPieces> batch{};
  std::size_t count = 0;
  for (auto& piece : pieces) {
    if (count == batch.size() || (count > 0 && piece.fd)) break;
    const auto skip = count == 0 ? first_sent : 0;
    batch[count++] = {.iov_base = piece.bytes.data() + skip, .iov_len = piece.bytes.size() - skip};
  }
  return send_pieces(socket.native_handle(), {batch.data(), count}, pieces.front().fd.get(), MSG_DONTWAIT);
}

void ChannelSocket::State::drop_sent(std::size_t sent) {
  queued -= sent;
  pieces.front().fd.reset();  // went with the first byte
  while (sent > 0) {
    const auto rest = pieces.front().bytes.size() - first_sent;
    if (sent < rest) {
      first_sent += sent;
      return;
    }
    sent -= rest;
    first_sent = 0;
    pieces.pop_front();
  }
}

void ChannelSocket::State::write_queued() {
  writing = false;
  while (!closed && error == 0 && !pieces.empty()) {
    const auto sent = write_batch();
    if (would_block(sent)) {
      writing = true;
      socket.async_wait(asio::posix::descriptor_base::wait_write,
                        [self = shared_from_this()](boost::system::error_code failed) {
                          if (failed) return self->end(ECANCELED);
                          self->write_queued();
                        });
      return;
    }
    if (sent < 0) return end(static_cast<int>(-sent));
    drop_sent(static_cast<std::size_t>(sent));
  }
  flushed.cancel();
}

ChannelSocket::ChannelSocket(Executor executor, UniqueFd socket, ChannelLimits limits)
    : state_(std::make_shared<State>(executor, std::move(socket), limits)) {}

ChannelSocket::~ChannelSocket() { close(); }

Status ChannelSocket::send(std::string bytes, UniqueFd fd, AfterSending after) {
  BH_ASSERT(!fd || !bytes.empty());
  if (state_->closed || state_->error != 0) return broken(state_->closed ? ECANCELED : state_->error);
  if (bytes.empty()) return {};
  if (state_->queued + bytes.size() > state_->limits.queued.value) {
    return fail(ErrorCode::kOverloaded, "The other end of the channel does not read.");
  }
  state_->queued += bytes.size();
  state_->pieces.emplace_back(std::move(bytes), std::move(fd), after);
  state_->write_soon();
  return {};
}

std::size_t ChannelSocket::queued() const { return state_->queued; }

Task<Result<std::size_t>> ChannelSocket::receive(std::span<char> into) {
  BH_ASSERT(!into.empty());
  const auto state = state_;  // `this` may go while we wait
  while (true) {
    if (state->closed) co_return fail(ErrorCode::kCancelled);
    std::vector<UniqueFd> fds;
    const auto got = receive_pieces(state->socket.native_handle(), into, MSG_DONTWAIT, fds);
    if (got == -EBADMSG || state->fds.size() + fds.size() > state->limits.waiting_fds) {
      state->end(EBADMSG);
      co_return fail(ErrorCode::kBadRequest, "The other end sent descriptors that it must not.");
    }
    for (auto& fd : fds) state->fds.push_back(std::move(fd));
    if (got >= 0) co_return static_cast<std::size_t>(got);
    if (!would_block(got)) {
      state->end(static_cast<int>(-got));
      co_return broken(static_cast<int>(-got));
    }
    boost::system::error_code failed;
    co_await state->socket.async_wait(asio::posix::descriptor_base::wait_read, asio::redirect_error(use_task, failed));
    if (failed) co_return fail(ErrorCode::kCancelled);
  }
}

std::optional<UniqueFd> ChannelSocket::take_fd() {
  if (state_->fds.empty()) return std::nullopt;
  auto fd = std::move(state_->fds.front());
  state_->fds.pop_front();
  return fd;
}

Task<Status> ChannelSocket::flush() {
  const auto state = state_;
  while (!state->closed && state->error == 0 && !state->pieces.empty()) {
    boost::system::error_code ignored;
    co_await state->flushed.async_wait(asio::redirect_error(use_task, ignored));
    if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) {
      co_return fail(ErrorCode::kCancelled);
    }
  }
  if (state->closed || state->error != 0) co_return broken(state->closed ? ECANCELED : state->error);
  co_return Status{};
}

void ChannelSocket::close() {
  state_->closed = true;
  state_->end(ECANCELED);
  boost::system::error_code ignored;
  state_->socket.close(ignored);
}

}  // namespace bulkhead::process
