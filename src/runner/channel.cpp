#include "runner/channel.h"

#include <sys/socket.h>

#include <cstring>

#include "platform/observe/log.h"

namespace bulkhead::runner {

using protocol::FrameType;

Channel::Channel(asio::io_context& context, process::UniqueFd socket, Executions& executions, ModuleCache& modules,
                 ChannelHost& host)
    : socket_(context.get_executor(), socket.release()), executions_(executions), modules_(modules), host_(host) {
  make_room(kBuffer);
}

void Channel::start() { wait_readable(); }

void Channel::wait_readable() {
  if (reading_ || !is_open() || is_clogged()) return;
  reading_ = true;
  socket_.async_wait(asio::posix::descriptor_base::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& failure) {
                       self->reading_ = false;
                       if (failure) {
                         self->close();
                       } else {
                         self->readable();
                       }
                     });
}

void Channel::readable() {
  const Read read = read_some();
  if (read == Read::kSome) {
    if (const auto status = handle_frames(); !status) {
      log::error("channel_malformed", status.error());
      close();
    }
    host_.after_input();
  } else if (read == Read::kEnd) {
    close();
  }
  wait_readable();
}

Channel::Read Channel::read_some() {
  iovec room{.iov_base = in_.get() + in_end_, .iov_len = in_capacity_ - in_end_};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
  msghdr message{};
  message.msg_iov = &room;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t size = ::recvmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0) return errno == EAGAIN || errno == EINTR ? Read::kNothing : Read::kEnd;
  if (!take_descriptors(message)) {
    log::error("channel_descriptors", {{"held", descriptors_.size()}});
    return Read::kEnd;
  }
  if (size == 0) return Read::kEnd;
  in_end_ += static_cast<std::size_t>(size);
  return Read::kSome;
}

bool Channel::take_descriptors(const msghdr& message) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(const_cast<msghdr*>(&message), part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      descriptors_.emplace_back(fd);
    }
  }
  return (message.msg_flags & MSG_CTRUNC) == 0 && descriptors_.size() <= kMaxDescriptors;
}

Status Channel::handle_frames() {
  std::size_t wanted = kBuffer;
  while (is_open()) {
    const std::string_view bytes(in_.get() + in_begin_, in_end_ - in_begin_);
    BH_TRY(const auto header, protocol::peek_frame(bytes));
    if (!header) break;
    const std::size_t size = header->length + 4;
    if (bytes.size() < size) {
      wanted = std::max(wanted, size);
      break;
    }
    in_begin_ += size;
    BH_TRY_VOID(handle(*header, bytes.substr(protocol::kFrameHeaderSize, size - protocol::kFrameHeaderSize)));
  }
  make_room(wanted);
  return {};
}

// Moves the unfinished frame to the front of a buffer that can hold `wanted` bytes; goes back to the small buffer after
// a large frame.
void Channel::make_room(std::size_t wanted) {
  const std::size_t kept = in_end_ - in_begin_;
  if (wanted != in_capacity_) {
    auto larger = std::make_unique_for_overwrite<char[]>(std::max(wanted, kept));
    if (kept > 0) std::memcpy(larger.get(), in_.get() + in_begin_, kept);
    in_ = std::move(larger);
    in_capacity_ = std::max(wanted, kept);
  } else if (in_begin_ > 0 && kept > 0) {
    std::memmove(in_.get(), in_.get() + in_begin_, kept);
  }
  in_begin_ = 0;
  in_end_ = kept;
}

Status Channel::handle(const protocol::FrameHeader& header, std::string_view payload) {
  switch (header.type) {
    case FrameType::kExecute: {
      BH_TRY(auto request, protocol::parse_execute(payload));
      executions_.submit(std::make_unique<Call>(header.id, std::move(request), this, this));
      return {};
    }
    case FrameType::kHostResult: {
      BH_TRY(auto result, protocol::parse_host_result(payload));
      executions_.host_result(*this, header.id, std::move(result));
      return {};
    }
    case FrameType::kCancel:
      if (Call* call = executions_.find(*this, header.id))
        executions_.cancel(*call, fail(ErrorCode::kCancelled).error());
      return {};
    case FrameType::kModule:
      return handle_module(payload);
    case FrameType::kNoModule: {
      BH_TRY(auto answer, protocol::parse_no_module(payload));
      modules_.refuse(answer.hash, std::move(answer.error));
      return {};
    }
    case FrameType::kPing:
      protocol::append_signal(out_, FrameType::kPong, header.id, host_.health_json());
      if (payload == "stats") protocol::append_signal(out_, FrameType::kStats, header.id, host_.metrics_text());
      return {};
    case FrameType::kDrain:
      host_.drain();
      return {};
    case FrameType::kForget:
      modules_.forget_all();
      return {};
    default:
      return fail(ErrorCode::kBadRequest, "A frame that only runners send came from the supervisor.");
  }
}

Status Channel::handle_module(std::string_view payload) {
  BH_TRY(auto offer, protocol::parse_module(payload));
  if (descriptors_.empty()) return fail(ErrorCode::kBadRequest, "A module frame came without its file.");
  process::UniqueFd file = std::move(descriptors_.front());
  descriptors_.pop_front();
  modules_.offer(std::move(offer), std::move(file));
  return {};
}

void Channel::flush() {
  if (!is_open() || writing_) return;
  while (sent_ < out_.size()) {
    const ssize_t size =
        ::send(socket_.native_handle(), out_.data() + sent_, out_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size >= 0) {
      sent_ += static_cast<std::size_t>(size);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) {
      close();
      return;
    }
    writing_ = true;
    socket_.async_wait(asio::posix::descriptor_base::wait_write,
                       [self = shared_from_this()](const boost::system::error_code& failure) {
                         self->writing_ = false;
                         if (failure) return;
                         self->host_.after_input();
                         self->wait_readable();
                       });
    return;
  }
  out_.clear();
  sent_ = 0;
  if (out_.capacity() > 4 * kBuffer) std::string().swap(out_);
}

void Channel::close() {
  if (!is_open()) return;
  boost::system::error_code ignored;
  socket_.close(ignored);
  out_.clear();
  sent_ = 0;
  executions_.origin_gone(*this);
  modules_.requester_gone(*this);
  executions_.link_gone(*this);
  host_.channel_closed(*this);
}

void Channel::finished(Call& call, protocol::ExecuteResponse response) {
  if (is_open()) protocol::append_result(out_, call.id, response);
}

void Channel::need_module(const ContentHash& hash) {
  if (is_open()) protocol::append_need_module(out_, hash);
}

void Channel::send_host_call(std::uint64_t id, const protocol::HostCall& call) {
  if (is_open()) protocol::append_host_call(out_, id, call);
}

void Channel::send_open(std::uint64_t id, const protocol::ExecuteContext& context) {
  if (is_open()) protocol::append_open(out_, id, context);
}

}  // namespace bulkhead::runner
