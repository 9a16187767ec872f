// Bytes and file descriptors over a Unix stream socket (SCM_RIGHTS): how a supervisor talks to its runner.
//
// Two faces on the same wire format:
//   * blocking functions, for small programs and for a child before its event loop exists;
//   * ChannelSocket, for an event loop. Reusable on either end: give it the executor and the socket.
// The stream carries no message borders: framing is the caller's. A descriptor travels with the first byte of the bytes
// it was sent with and never arrives later than they do; several arrive in the order sent. So a frame that says "I
// carry a descriptor" takes the oldest one that arrived (`take_fd`).
#pragma once

#include <boost/asio/async_result.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "platform/async/task.h"
#include "platform/process/unique_fd.h"

namespace bulkhead::process {

// Connected to each other, close-on-exec, blocking.
Result<std::pair<UniqueFd, UniqueFd>> make_socket_pair();

// Blocking. Sends all of `bytes` (at least one byte when there is an fd); `fd` < 0 sends none.
Status send_with_fd(int socket, std::string_view bytes, int fd);
struct ReceivedBytes {
  std::size_t size = 0;  // 0: the other end closed
  UniqueFd fd;           // the one that came with these bytes, if any
};
// Blocking. More than one descriptor at once is kBadRequest (all are closed).
Result<ReceivedBytes> receive_with_fd(int socket, std::span<char> into);

struct ChannelLimits {
  Bytes queued = 64_MiB;         // unsent bytes; `send` answers kOverloaded beyond
  std::size_t waiting_fds = 16;  // received and not yet taken; more is an error of the other end. 0 refuses all.
};

// What becomes of queued bytes once they are sent or dropped: bytes that hold a secret are wiped.
enum class AfterSending : std::uint8_t { kFree, kWipe };

// One end of a channel on an event loop. Owned by one object, used on its core's thread only. Moving is not needed:
// hold it by value or unique_ptr. Destroying it closes the socket; a `receive` in progress answers kCancelled.
class ChannelSocket {
 public:
  ChannelSocket(Executor executor, UniqueFd socket, ChannelLimits limits = {});
  ~ChannelSocket();
  ChannelSocket(const ChannelSocket&) = delete;
  ChannelSocket& operator=(const ChannelSocket&) = delete;

  // Queues bytes, in order; everything queued in one turn of the event loop goes out in one system call. kOverloaded
  // when the queue is full, kUnavailable once the channel is broken. A descriptor needs at least one byte to travel
  // with.
  Status send(std::string bytes, UniqueFd fd = {}, AfterSending after = AfterSending::kFree);
  std::size_t queued() const;

  // As many bytes as are there, at least one; 0 at the end. One call at a time. kUnavailable: broken; kBadRequest: the
  // other end sent descriptors that it must not; kCancelled: closed here.
  Task<Result<std::size_t>> receive(std::span<char> into);
  // The oldest descriptor that arrived and was not taken.
  std::optional<UniqueFd> take_fd();

  // Returns when all that was queued has been handed to the kernel, or the channel broke or closed.
  Task<Status> flush();
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace bulkhead::process
