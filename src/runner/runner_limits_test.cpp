// Deadlines, fairness, concurrency and cancellation.
#include <gtest/gtest.h>

#include "runner/runner_fixture.h"

namespace bulkhead::runner {
namespace {

using namespace testing;  // runner::testing

class RunnerLimitsTest : public RunnerTest {};

TEST_F(RunnerLimitsTest, EndsACallThatWaitsForTheBrokerAtItsDeadline) {
  begin();
  auto request = request_for(guest("one_storage_get"));
  request.limits.timeout = Millis(60);
  const auto id = execute(request);
  expect_need(guest("one_storage_get"));
  give(guest("one_storage_get"));
  const Frame call = expect_frame(FrameType::kHostCall);
  const auto response = result(id);
  ASSERT_TRUE(response.error);
  EXPECT_EQ(response.error->code, ErrorCode::kTimeout);
  EXPECT_EQ(response.status, 504);
  EXPECT_GE(response.usage.wall_us, 60'000U);
  answer(call.id, protocol::HostCode::kOk, "too late");
  expect_hello();
}

TEST_F(RunnerLimitsTest, EndsAnEndlessLoopAtItsDeadlineWhileOthersRun) {
  begin();
  run("hello");
  auto request = request_for(guest("loop"), tenant(66));
  request.limits.timeout = Millis(1'000);
  const auto loop = execute(request);
  expect_need(guest("loop"));
  give(guest("loop"));
  // Many short calls of another tenant are answered long before the loop ends.
  for (int i = 0; i < 20; ++i) expect_hello();
  const auto response = result(loop);
  EXPECT_EQ(response.error->code, ErrorCode::kTimeout);
}

TEST_F(RunnerLimitsTest, SharesTheCoreFairlyBetweenALoopingTenantAndAWorkingOne) {
  begin();
  run("hello");
  // Eight loops of one tenant would take 8/9 of the core in a plain round robin.
  std::vector<std::uint64_t> loops;
  auto looping = request_for(guest("loop"), tenant(66));
  looping.limits.timeout = Millis(3'000);
  for (int i = 0; i < 8; ++i) loops.push_back(execute(looping));
  expect_need(guest("loop"));
  give(guest("loop"));
  auto working = request_for(guest("spin"), tenant(7));
  std::get<protocol::HttpCall>(working.call).path = "/40";
  const auto worked = run(guest("spin"), working);
  EXPECT_EQ(worked.status, 200);
  ASSERT_GT(worked.usage.cpu_us, 0U);
  for (const auto id : loops) {
    std::string frame;
    protocol::append_cancel(frame, id);
    ASSERT_TRUE(end().send(frame));
  }
  std::uint64_t loops_cpu_us = 0;
  for (std::size_t i = 0; i < loops.size(); ++i) {
    const auto ended = protocol::parse_result(expect_frame(FrameType::kResult).payload);
    ASSERT_TRUE(ended && ended->error);
    EXPECT_EQ(ended->error->code, ErrorCode::kCancelled);
    loops_cpu_us += ended->usage.cpu_us;
  }
  EXPECT_LT(loops_cpu_us, worked.usage.cpu_us * 4) << "as much as the other tenant, with room for a busy machine";
}

TEST_F(RunnerLimitsTest, QueuesWhatATenantMayNotRunAndRefusesWhatItMayNotQueue) {
  begin();
  const auto& code = guest("one_storage_get");
  auto request = request_for(code);
  request.limits.tenant_concurrency = 2;
  request.limits.tenant_queue = 1;
  const auto first = execute(request);
  expect_need(code);
  give(code);
  const Frame first_call = expect_frame(FrameType::kHostCall);
  const auto second = execute(request);
  const Frame second_call = expect_frame(FrameType::kHostCall);
  const auto queued = execute(request);
  const auto refused = execute(request);
  const auto refusal = result(refused);
  ASSERT_TRUE(refusal.error);
  EXPECT_EQ(refusal.error->code, ErrorCode::kConcurrencyExceeded);
  EXPECT_EQ(refusal.status, 429);
  EXPECT_GT(refusal.error->retry_after_ms, 0);
  // Another tenant is not concerned.
  const auto other = execute(request_for(code, tenant(2)));
  answer(expect_frame(FrameType::kHostCall).id, protocol::HostCode::kOk, "other");
  EXPECT_EQ(result(other).body, "other");

  answer(first_call.id, protocol::HostCode::kOk, "a");
  EXPECT_EQ(result(first).body, "a");
  answer(expect_frame(FrameType::kHostCall).id, protocol::HostCode::kOk, "c");
  EXPECT_EQ(result(queued).body, "c");
  answer(second_call.id, protocol::HostCode::kOk, "b");
  EXPECT_EQ(result(second).body, "b");
}

TEST_F(RunnerLimitsTest, TimesOutInTheQueueAndCancelsThere) {
  begin();
  const auto& code = guest("one_storage_get");
  auto request = request_for(code);
  request.limits.tenant_concurrency = 1;
  const auto running = execute(request);
  expect_need(code);
  give(code);
  const Frame call = expect_frame(FrameType::kHostCall);
  auto short_lived = request;
  short_lived.limits.timeout = Millis(30);
  const auto late = execute(short_lived);
  EXPECT_EQ(result(late).error->code, ErrorCode::kTimeout);
  const auto unwanted = execute(request);
  std::string frame;
  protocol::append_cancel(frame, unwanted);
  ASSERT_TRUE(end().send(frame));
  EXPECT_EQ(result(unwanted).error->code, ErrorCode::kCancelled);
  answer(call.id, protocol::HostCode::kOk, "done");
  EXPECT_EQ(result(running).body, "done");
}

TEST_F(RunnerLimitsTest, RefusesCallsBeyondItsOwnLimit) {
  RunnerOptions options = small_options();
  options.executions.max_live = 2;
  options.executions.max_queued = 0;
  begin(options);
  const auto& code = guest("one_storage_get");
  const auto first = execute(request_for(code, tenant(1)));
  expect_need(code);
  give(code);
  const Frame call = expect_frame(FrameType::kHostCall);
  execute(request_for(code, tenant(2)));
  expect_frame(FrameType::kHostCall);
  const auto refused = execute(request_for(code, tenant(3)));
  const auto refusal = result(refused);
  EXPECT_EQ(refusal.error->code, ErrorCode::kRunnerOverloaded);
  EXPECT_EQ(refusal.status, 503);
  answer(call.id, protocol::HostCode::kOk, "a");
  EXPECT_EQ(result(first).body, "a");
  const auto now_fits = execute(request_for(code, tenant(3)));
  answer(expect_frame(FrameType::kHostCall).id, protocol::HostCode::kOk, "b");
  EXPECT_EQ(result(now_fits).body, "b");
}

TEST_F(RunnerLimitsTest, GivesFreePlacesToTenantsInTurn) {
  RunnerOptions options = small_options();
  options.executions.max_live = 1;
  begin(options);
  run("hello");
  auto busy = request_for(guest("spin"), tenant(66));
  std::get<protocol::HttpCall>(busy.call).path = "/5";
  for (int i = 0; i < 12; ++i) execute(busy);
  expect_need(guest("spin"));
  give(guest("spin"));
  const auto quiet = execute(request_for(guest("hello"), tenant(7)));
  int before = 0;
  while (expect_frame(FrameType::kResult).id != quiet) ++before;
  EXPECT_LE(before, 4) << "the one that had the place, and a round or two";
  for (int i = before; i < 12; ++i) expect_frame(FrameType::kResult);
}

TEST_F(RunnerLimitsTest, RefusesAtOnceWhatWouldWaitLongerThanItHas) {
  RunnerOptions options = small_options();
  options.executions.max_live = 1;
  begin(options);
  const auto& code = guest("one_storage_get");
  const auto holder = execute(request_for(code, tenant(1)));
  expect_need(code);
  give(code);
  const Frame call = expect_frame(FrameType::kHostCall);
  const auto patient = execute(request_for(code, tenant(2)));
  auto impatient = request_for(code, tenant(3));
  impatient.limits.timeout = Millis(80);
  EXPECT_EQ(result(execute(impatient)).error->code, ErrorCode::kTimeout) << "it could not know";
  // By now nothing has moved for 80 ms.
  impatient.limits.timeout = Millis(40);
  const auto refusal = result(execute(impatient));
  EXPECT_EQ(refusal.error->code, ErrorCode::kRunnerOverloaded);
  EXPECT_GT(refusal.error->retry_after_ms, 0);
  EXPECT_LT(refusal.usage.wall_us, 40'000U);
  answer(call.id, protocol::HostCode::kOk, "a");
  EXPECT_EQ(result(holder).body, "a");
  answer(expect_frame(FrameType::kHostCall).id, protocol::HostCode::kOk, "b");
  EXPECT_EQ(result(patient).body, "b");
}

TEST_F(RunnerLimitsTest, CancelsARunningGuestAndOneThatWaits) {
  begin();
  const auto loop = execute(request_for(guest("loop")));
  expect_need(guest("loop"));
  give(guest("loop"));
  std::string frame;
  protocol::append_cancel(frame, loop);
  protocol::append_cancel(frame, 12'345);  // unknown: nothing happens
  ASSERT_TRUE(end().send(frame));
  EXPECT_EQ(result(loop).error->code, ErrorCode::kCancelled);

  const auto waiting = execute(request_for(guest("one_storage_get")));
  expect_need(guest("one_storage_get"));
  give(guest("one_storage_get"));
  const Frame call = expect_frame(FrameType::kHostCall);
  frame.clear();
  protocol::append_cancel(frame, waiting);
  ASSERT_TRUE(end().send(frame));
  EXPECT_EQ(result(waiting).error->code, ErrorCode::kCancelled);
  answer(call.id, protocol::HostCode::kOk, "too late");
  expect_hello();
}

}  // namespace
}  // namespace bulkhead::runner
