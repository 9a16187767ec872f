// Channel: one end of the frame stream between this runner and a serve core (protocol/frames.h). Reads in batches (one
// recvmsg may hold many frames, and the descriptors of kModule), collects what is to be sent and writes it at once.
//
// The first malformed frame, and the end of the stream, close it: its calls end, and the supervisor replaces the
// runner. Owner: Runner, through a shared_ptr that pending handlers hold too. One thread.
#pragma once

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <deque>
#include <memory>
#include <string>

#include "platform/process/unique_fd.h"
#include "runner/executions.h"

namespace bulkhead::runner {

class Channel;

// What a channel needs of its runner.
class ChannelHost {
 public:
  // A batch of frames has been handled: run what is ready, then flush the channels.
  virtual void after_input() = 0;
  virtual std::string health_json() = 0;   // kPong
  virtual std::string metrics_text() = 0;  // kStats
  virtual void drain() = 0;
  virtual void channel_closed(Channel& channel) = 0;

 protected:
  ~ChannelHost() = default;
};

class Channel final : public CallOrigin, public BrokerLink, public std::enable_shared_from_this<Channel> {
 public:
  Channel(asio::io_context& context, process::UniqueFd socket, Executions& executions, ModuleCache& modules,
          ChannelHost& host);

  void start();
  // Writes what has been collected, as far as the socket takes it; the rest follows when it can.
  void flush();
  void close();
  bool is_open() const { return socket_.is_open(); }
  bool has_output() const { return !out_.empty(); }

  void finished(Call& call, protocol::ExecuteResponse response) override;
  void need_module(const ContentHash& hash) override;
  void send_host_call(std::uint64_t id, const protocol::HostCall& call) override;
  void send_open(std::uint64_t id, const protocol::ExecuteContext& context) override;

 private:
  enum class Read : std::uint8_t { kSome, kNothing, kEnd };

  void wait_readable();
  void readable();
  Read read_some();
  bool take_descriptors(const struct msghdr& message);
  Status handle_frames();
  Status handle(const protocol::FrameHeader& header, std::string_view payload);
  Status handle_module(std::string_view payload);
  void make_room(std::size_t wanted);
  bool is_clogged() const { return out_.size() - sent_ > kMaxOutput; }

  static constexpr std::size_t kBuffer = 256 * 1024;
  static constexpr std::size_t kMaxOutput = 16 * 1024 * 1024;  // unread by the peer; then nothing more is read from it
  static constexpr std::size_t kMaxDescriptors = 64;           // received and not yet claimed by a kModule

  asio::posix::basic_stream_descriptor<Executor> socket_;
  Executions& executions_;
  ModuleCache& modules_;
  ChannelHost& host_;
  std::unique_ptr<char[]> in_;
  std::size_t in_capacity_ = 0;
  std::size_t in_begin_ = 0;
  std::size_t in_end_ = 0;
  std::deque<process::UniqueFd> descriptors_;
  std::string out_;
  std::size_t sent_ = 0;
  bool writing_ = false;
  bool reading_ = false;
};

}  // namespace bulkhead::runner
