// The fixture of the tests that drive a whole runner through its channels.
#pragma once

#include <gtest/gtest.h>

#include "runner/runner_test_support.h"

namespace bulkhead::runner::testing {

inline const CodeMaker& code_maker() {
  static const CodeMaker maker;
  return maker;
}

// Compiled once per guest for all tests.
inline const SignedCode& guest(const std::string& name) {
  static std::map<std::string, SignedCode> made;
  auto found = made.find(name);
  if (found == made.end()) found = made.emplace(name, code_maker().make(name)).first;
  return found->second;
}

class RunnerTest : public ::testing::Test {
 protected:
  void begin(RunnerOptions options = small_options(), std::size_t channels = 1) {
    runner_.emplace(code_maker(), options, channels);
  }
  SupervisorEnd& end(std::size_t index = 0) { return runner_->end(index); }

  std::uint64_t execute(const protocol::ExecuteRequest& request, std::size_t channel = 0) {
    std::string frame;
    protocol::append_execute(frame, ++last_id_, request);
    EXPECT_TRUE(end(channel).send(frame));
    return last_id_;
  }
  void give(const SignedCode& code, std::size_t channel = 0) {
    std::string frame;
    protocol::append_module(frame, code.offer);
    const auto file = process::make_sealed_memfd("code", code.code);
    ASSERT_TRUE(end(channel).send(frame, file->get()));
  }
  void expect_need(const SignedCode& code, std::size_t channel = 0) {
    const auto frame = end(channel).receive();
    ASSERT_TRUE(frame);
    ASSERT_EQ(frame->type, FrameType::kNeedModule);
    EXPECT_EQ(*protocol::parse_need_module(frame->payload), code.offer.content_hash);
  }
  // The next frame, which must be the result of that call.
  protocol::ExecuteResponse result(std::uint64_t id, std::size_t channel = 0) {
    const auto frame = end(channel).receive();
    if (!frame || frame->type != FrameType::kResult || frame->id != id) {
      ADD_FAILURE() << "no result of call " << id << ", but " << (frame ? static_cast<int>(frame->type) : -1);
      return {};
    }
    auto response = protocol::parse_result(frame->payload);
    EXPECT_TRUE(response);
    return response ? std::move(*response) : protocol::ExecuteResponse{};
  }
  // Executes with the module handed over when asked.
  protocol::ExecuteResponse run(const SignedCode& code, protocol::ExecuteRequest request) {
    const auto id = execute(request);
    if (loaded_.insert({code.offer.content_hash.hex(), true}).second) {
      expect_need(code);
      give(code);
    }
    return result(id);
  }
  protocol::ExecuteResponse run(const std::string& name) { return run(guest(name), request_for(guest(name))); }
  void expect_hello() {
    const auto response = run("hello");
    EXPECT_FALSE(response.error) << response.error->to_log_string();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "hello");
  }
  Frame expect_frame(FrameType type, std::size_t channel = 0) {
    auto frame = end(channel).receive();
    EXPECT_TRUE(frame && frame->type == type) << (frame ? static_cast<int>(frame->type) : -1);
    return frame ? std::move(*frame) : Frame{};
  }
  void answer(std::uint64_t id, protocol::HostCode code, std::string json) {
    std::string frame;
    protocol::append_host_result(frame, id, {.code = code, .response_json = std::move(json)});
    ASSERT_TRUE(end().send(frame));
  }

  std::optional<RunningRunner> runner_;
  std::uint64_t last_id_ = 0;
  std::map<std::string, bool> loaded_;
};

}  // namespace bulkhead::runner::testing
