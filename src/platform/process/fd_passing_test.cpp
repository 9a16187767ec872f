#include "platform/process/fd_passing.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <thread>

#include "platform/process/file.h"
#include "platform/process/memfd.h"
#include "platform/process/testing.h"

namespace bulkhead::process {
namespace {

constexpr auto kChunk = std::size_t{64} * 1024;

std::string content_of(int fd) { return read_all(fd, 1_MiB).value(); }

TEST(FdPassing, BlockingEndsPassBytesAndOneDescriptor) {
  const auto [left, right] = make_socket_pair().value();
  const auto memory = make_sealed_memfd("test", "hello").value();
  ASSERT_TRUE(send_with_fd(left.get(), "with", memory.get()));
  ASSERT_TRUE(send_with_fd(left.get(), "without", -1));
  std::string buffer(100, '\0');
  auto first = receive_with_fd(right.get(), buffer).value();
  EXPECT_EQ(buffer.substr(0, first.size), "with");
  ASSERT_TRUE(first.fd);
  EXPECT_EQ(content_of(first.fd.get()), "hello");
  EXPECT_NE(::fcntl(first.fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  auto second = receive_with_fd(right.get(), buffer).value();
  EXPECT_EQ(buffer.substr(0, second.size), "without");
  EXPECT_FALSE(second.fd);
}

TEST(FdPassing, SaysWhenTheOtherEndIsGone) {
  auto [left, right] = make_socket_pair().value();
  left.reset();
  std::string buffer(10, '\0');
  EXPECT_EQ(receive_with_fd(right.get(), buffer)->size, 0U);
  EXPECT_EQ(send_with_fd(right.get(), "x", -1).error().code, ErrorCode::kUnavailable);
}

class Channel : public testing::Test {
 protected:
  void make(ChannelLimits limits = {}) {
    auto [left, right] = make_socket_pair().value();
    raw_left_ = left.get();
    left_ = std::make_unique<ChannelSocket>(context_.get_executor(), std::move(left), limits);
    right_ = std::make_unique<ChannelSocket>(context_.get_executor(), std::move(right), limits);
  }
  Task<Result<std::string>> receive_exactly(std::size_t size) {
    std::string all;
    std::string buffer(kChunk, '\0');
    while (all.size() < size) {
      auto got = co_await right_->receive(std::span(buffer).first(std::min(buffer.size(), size - all.size())));
      if (!got) co_return fail(got.error());
      if (*got == 0) co_return fail(ErrorCode::kUnavailable, "end");
      all.append(buffer, 0, *got);
    }
    co_return all;
  }

  asio::io_context context_{1};
  std::unique_ptr<ChannelSocket> left_, right_;
  int raw_left_ = -1;
};

TEST_F(Channel, KeepsOrderOfBytesAndDescriptors) {
  make();
  std::string expected;
  for (int i = 0; i < 500; ++i) {
    const auto text = "message " + std::to_string(i) + ";";
    expected += text;
    UniqueFd fd;
    if (i % 100 == 50) fd = make_sealed_memfd("test", std::to_string(i)).value();
    ASSERT_TRUE(left_->send(text, std::move(fd)));
  }
  EXPECT_EQ(run_on(context_, receive_exactly(expected.size())).value(), expected);
  for (int i = 50; i < 500; i += 100) {
    auto fd = right_->take_fd();
    ASSERT_TRUE(fd);
    EXPECT_EQ(content_of(fd->get()), std::to_string(i));
  }
  EXPECT_FALSE(right_->take_fd());
}

TEST_F(Channel, ADescriptorNeverArrivesAfterItsBytes) {
  make();
  ASSERT_TRUE(left_->send("a"));
  ASSERT_TRUE(left_->send("F", make_sealed_memfd("test", "x").value()));
  ASSERT_TRUE(left_->send("b"));
  // Read byte by byte: once F is there, its descriptor is.
  ASSERT_EQ(run_on(context_, receive_exactly(1)).value(), "a");
  ASSERT_EQ(run_on(context_, receive_exactly(1)).value(), "F");
  EXPECT_TRUE(right_->take_fd());
}

TEST_F(Channel, WritesMoreThanTheSocketHolds) {
  make();
  std::string big(8'000'000, '\0');
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 7 + i / 251);
  ASSERT_TRUE(left_->send(big));
  ASSERT_TRUE(left_->send("end"));
  EXPECT_TRUE(run_on(context_, receive_exactly(big.size() + 3)).value() == big + "end");
  EXPECT_TRUE(run_on(context_, left_->flush()));
  EXPECT_EQ(left_->queued(), 0U);
}

TEST_F(Channel, CoalescesWhatIsQueuedInOneTurn) {
  make();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(left_->send("x"));
  ASSERT_TRUE(run_on(context_, left_->flush()));
  std::string buffer(100, '\0');
  EXPECT_EQ(run_on(context_, right_->receive(buffer)).value(), 10U);
}

TEST_F(Channel, BoundsItsQueue) {
  make({.queued = 10_B});
  ASSERT_TRUE(left_->send("1234567890"));
  EXPECT_EQ(left_->send("x").error().code, ErrorCode::kOverloaded);
  ASSERT_TRUE(run_on(context_, left_->flush()));
  EXPECT_TRUE(left_->send("x"));
}

TEST_F(Channel, RefusesDescriptorsBeyondItsLimit) {
  make({.waiting_fds = 0});
  ASSERT_TRUE(left_->send("F", make_sealed_memfd("test", "x").value()));
  EXPECT_EQ(run_on(context_, receive_exactly(1)).error().code, ErrorCode::kBadRequest);
}

TEST_F(Channel, RefusesManyDescriptorsInOneMessage) {
  make({.waiting_fds = 8});
  std::array<int, 200> many;
  many.fill(0);
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof many)> control{};
  char byte = 'x';
  iovec piece{.iov_base = &byte, .iov_len = 1};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  auto* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof many);
  std::memcpy(CMSG_DATA(header), many.data(), sizeof many);
  ASSERT_EQ(::sendmsg(raw_left_, &message, 0), 1);
  EXPECT_EQ(run_on(context_, receive_exactly(1)).error().code, ErrorCode::kBadRequest);
  EXPECT_FALSE(right_->take_fd());
}

TEST_F(Channel, SaysWhenTheOtherEndIsGone) {
  make();
  ASSERT_TRUE(left_->send("last words"));
  ASSERT_TRUE(run_on(context_, left_->flush()));
  left_.reset();
  EXPECT_EQ(run_on(context_, receive_exactly(10)).value(), "last words");
  std::string buffer(10, '\0');
  EXPECT_EQ(run_on(context_, right_->receive(buffer)).value(), 0U);
  ASSERT_TRUE(right_->send("into the void"));
  EXPECT_EQ(run_on(context_, right_->flush()).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(right_->send("x").error().code, ErrorCode::kUnavailable);
}

TEST_F(Channel, MayBeDestroyedWhileSomeoneReceives) {
  make();
  std::optional<Result<std::string>> result;
  asio::co_spawn(context_.get_executor(), receive_exactly(1),
                 [&](const std::exception_ptr&, Result<std::string> value) { result = std::move(value); });
  context_.poll();
  ASSERT_FALSE(result);
  right_->close();
  context_.restart();
  context_.poll();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace bulkhead::process
