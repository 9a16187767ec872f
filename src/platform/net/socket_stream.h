// A connected stream socket (TCP or Unix) with a bounded input buffer, an output queue and coarse deadlines.
//
// Reads and writes of one stream never overlap with another of their kind. Writes go straight to the socket and only
// wait when it is full. Owned by one connection; used on its core only. This is the place where TLS fits in.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/time.h"
#include "platform/async/task.h"
#include "platform/async/timer_wheel.h"

namespace bulkhead::net {

using StreamSocket = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;

// How waiting for the peer ended.
enum class Waited : std::uint8_t {
  kDone,
  kClosed,    // end of stream, reset, or our own shutdown of the wait
  kTimedOut,  // the deadline came first
  kFull,      // the input buffer has no room
};

class SocketStream {
 public:
  // `input_limit`: the most bytes that `input` may hold.
  SocketStream(StreamSocket socket, TimerWheel& wheel, std::size_t input_limit);

  // --- input: received and not consumed yet
  std::string_view input() const { return {buffer_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t count);
  // Receives at least one more byte into `input`.
  Task<Waited> fill(SteadyTime deadline);
  // Takes bytes of `input` or, when there are none, receives into `into`. `count` is what was read.
  struct Read {
    Waited waited = Waited::kDone;
    std::size_t count = 0;
  };
  Task<Read> read_some(std::span<char> into, SteadyTime deadline);

  // --- output: bytes that wait to be sent in one go
  std::string& output() { return output_; }
  bool has_output() const { return sent_ < output_.size(); }
  // Sends the queue, then `borrowed`, then `tail`, waiting at most `timeout` for each bit of progress. False: broken.
  Task<bool> flush(Millis timeout, std::string_view borrowed = {}, std::string_view tail = {});
  // Sends what the socket takes now, unless a flush is under way. Errors show in the next flush.
  void flush_without_waiting();

  // Ends a wait for input with kClosed, as if the peer had closed.
  void cancel();
  // The peer has closed its side or reset the connection.
  bool peer_gone() const;
  // Our side is done; the peer still can send.
  void shutdown_send();
  void close();
  // Closes so that the peer sees an error and not an orderly end.
  void reset();

 private:
  enum class Sent : std::uint8_t { kAll, kSome, kBroken };
  Sent send_now(std::string_view& borrowed, std::string_view& tail);
  // The rare part of `flush`: the socket is full.
  Task<bool> flush_slowly(Millis timeout, std::string_view borrowed, std::string_view tail);
  Task<Read> receive(std::span<char> into, SteadyTime deadline);
  bool make_room();

  StreamSocket socket_;
  TimerWheel& wheel_;
  TimerWheel::Entry deadline_;
  bool timed_out_ = false;
  bool broken_ = false;
  bool flushing_ = false;

  std::size_t input_limit_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;

  std::string output_;
  std::size_t sent_ = 0;  // of output_
};

}  // namespace bulkhead::net
