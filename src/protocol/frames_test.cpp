#include "protocol/frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"

namespace bulkhead::protocol {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

ExecuteContext sample_context() {
  SeededRandom random(1);
  ExecuteContext context;
  context.request_id = "req-1";
  context.tenant_id = TenantId::v4(random);
  context.extension_id = ExtensionId::v4(random);
  context.install_id = InstallId::v4(random);
  context.content_hash = ContentHash::of("bundle");
  context.version_id = VersionId::v7({1'700'000'000'000'000}, random);
  context.config_json = R"({"a":1})";
  context.user_json = R"({"id":"u"})";
  context.trace_parent = "00-1-2-01";
  return context;
}

ExecuteRequest sample_request() {
  SeededRandom random(2);
  ExecuteRequest request;
  request.context = sample_context();
  request.handle = ExecutionHandle::random(random);
  request.limits.timeout = Millis(123);
  request.limits.tenant_queue = 7;
  HttpCall call;
  call.method = "PUT";
  call.path = "/p";
  call.params = {{"id", "1"}};
  call.query = {{"q", "1"}, {"q", "2"}};
  call.headers = {{"accept", "*/*"}};
  call.body = std::string("\0\xff", 2);
  request.call = call;
  return request;
}

// The one frame in `bytes`, which must be whole.
std::string_view payload_of(std::string_view bytes, FrameType type, std::uint64_t id) {
  const auto header = peek_frame(bytes);
  EXPECT_TRUE(header && *header);
  EXPECT_EQ((*header)->type, type);
  EXPECT_EQ((*header)->id, id);
  EXPECT_EQ((*header)->length + 4, bytes.size());
  return bytes.substr(kFrameHeaderSize);
}

void expect_equal(const ExecuteContext& a, const ExecuteContext& b) {
  EXPECT_EQ(a.request_id, b.request_id);
  EXPECT_EQ(a.tenant_id, b.tenant_id);
  EXPECT_EQ(a.extension_id, b.extension_id);
  EXPECT_EQ(a.install_id, b.install_id);
  EXPECT_EQ(a.content_hash, b.content_hash);
  EXPECT_EQ(a.version_id, b.version_id);
  EXPECT_EQ(a.config_json, b.config_json);
  EXPECT_EQ(a.user_json, b.user_json);
  EXPECT_EQ(a.trace_parent, b.trace_parent);
}

TEST(Frames, HaveTheLayoutThatTheHeaderSays) {
  std::string out;
  append_signal(out, FrameType::kPing, 0x0102030405060708, "ab");
  EXPECT_EQ(hex_encode(out),
            "0b000000"
            "06"
            "0807060504030201"
            "6162");
  out.clear();
  append_host_result(out, 1, {HostCode::kDenied, "{}"});
  EXPECT_EQ(hex_encode(out),
            "13000000"
            "05"
            "0100000000000000"
            "ffffffff"
            "02000000"
            "7b7d");
}

TEST(Frames, CarryAnExecuteRequest) {
  const ExecuteRequest request = sample_request();
  std::string out;
  append_execute(out, 42, request);
  const auto parsed = parse_execute(payload_of(out, FrameType::kExecute, 42));
  ASSERT_TRUE(parsed);
  expect_equal(parsed->context, request.context);
  EXPECT_EQ(parsed->handle, request.handle);
  EXPECT_EQ(parsed->limits.timeout, Millis(123));
  EXPECT_EQ(parsed->limits.memory, request.limits.memory);
  EXPECT_EQ(parsed->limits.response, request.limits.response);
  EXPECT_EQ(parsed->limits.tenant_concurrency, 32U);
  EXPECT_EQ(parsed->limits.tenant_queue, 7U);
  const auto& call = std::get<HttpCall>(parsed->call);
  EXPECT_EQ(call.body, std::string("\0\xff", 2));
  EXPECT_THAT(call.query, ElementsAre(Pair("q", "1"), Pair("q", "2")));
  EXPECT_THAT(call.headers, ElementsAre(Pair("accept", "*/*")));
}

TEST(Frames, CarryEventsAndSchedules) {
  ExecuteRequest request = sample_request();
  request.call = EventCall{"t", "1", "{}", "on_created", 3, "com.example.a"};
  std::string out;
  append_execute(out, 1, request);
  const auto event = parse_execute(out.substr(kFrameHeaderSize));
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<EventCall>(event->call).topic, "t");
  EXPECT_EQ(std::get<EventCall>(event->call).payload_json, "{}");
  EXPECT_EQ(std::get<EventCall>(event->call).handler, "on_created");
  EXPECT_EQ(std::get<EventCall>(event->call).attempt, 3U);
  EXPECT_EQ(std::get<EventCall>(event->call).source, "com.example.a");
  out.clear();
  request.call = ScheduleCall{"nightly", "tidy", "[1]", "2026-11-22T03:00:00Z"};
  append_execute(out, 1, request);
  const auto schedule = parse_execute(out.substr(kFrameHeaderSize));
  ASSERT_TRUE(schedule);
  EXPECT_EQ(std::get<ScheduleCall>(schedule->call).id, "nightly");
  EXPECT_EQ(std::get<ScheduleCall>(schedule->call).handler, "tidy");
  EXPECT_EQ(std::get<ScheduleCall>(schedule->call).payload_json, "[1]");
  EXPECT_EQ(std::get<ScheduleCall>(schedule->call).scheduled_at, "2026-11-22T03:00:00Z");
}

TEST(Frames, CutLimitsToTheHardMaximum) {
  ExecuteRequest request = sample_request();
  request.limits.timeout = Millis(3'600'000);
  request.limits.memory = 64_GiB;
  std::string out;
  append_execute(out, 1, request);
  const auto parsed = parse_execute(out.substr(kFrameHeaderSize));
  EXPECT_EQ(parsed->limits.timeout, kMaxTimeout);
  EXPECT_EQ(parsed->limits.memory, kMaxMemory);
}

TEST(Frames, CarryAResultWithErrorUsageAndLogs) {
  ExecuteResponse response;
  response.status = 429;
  response.headers = {{"a", "b"}};
  response.body = "body";
  response.error.emplace();
  response.error->code = ErrorCode::kRunnerSignatureInvalid;
  response.error->message = "m";
  response.error->detail = "d";
  response.error->retry_after_ms = 1'000;
  response.usage = {.cpu_us = 1, .wall_us = 2, .memory_bytes = 3, .fuel = 4, .egress_bytes = 5, .host_calls = 6};
  response.logs = {{LogLine::Level::kWarn, UtcMicros{7}, "careful"}};
  response.logs_truncated = true;
  std::string out;
  append_result(out, 9, response);
  const auto parsed = parse_result(payload_of(out, FrameType::kResult, 9));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->status, 429);
  EXPECT_THAT(parsed->headers, ElementsAre(Pair("a", "b")));
  EXPECT_EQ(parsed->body, "body");
  EXPECT_EQ(parsed->error->code, ErrorCode::kRunnerSignatureInvalid);
  EXPECT_EQ(parsed->error->message, "m");
  EXPECT_EQ(parsed->error->detail, "d");
  EXPECT_EQ(parsed->error->retry_after_ms, 1'000);
  EXPECT_EQ(parsed->usage.cpu_us, 1U);
  EXPECT_EQ(parsed->usage.wall_us, 2U);
  EXPECT_EQ(parsed->usage.memory_bytes, 3U);
  EXPECT_EQ(parsed->usage.fuel, 4U);
  EXPECT_EQ(parsed->usage.egress_bytes, 5U);
  EXPECT_EQ(parsed->usage.host_calls, 6U);
  ASSERT_EQ(parsed->logs.size(), 1U);
  EXPECT_EQ(parsed->logs[0].level, LogLine::Level::kWarn);
  EXPECT_EQ(parsed->logs[0].at.value, 7);
  EXPECT_EQ(parsed->logs[0].text, "careful");
  EXPECT_TRUE(parsed->logs_truncated);
}

TEST(Frames, CarryModulesHostCallsAndOpens) {
  std::string out;
  const ModuleOffer offer{.content_hash = ContentHash::of("c"),
                          .wasm_hash = ContentHash::of("w"),
                          .code_hash = ContentHash::of("k"),
                          .target = "x86_64-linux-gnu",
                          .engine_fingerprint = "f",
                          .signature = std::string(64, 's'),
                          .code_size = 99};
  append_module(out, offer);
  const auto module = parse_module(payload_of(out, FrameType::kModule, 0));
  ASSERT_TRUE(module);
  EXPECT_EQ(module->content_hash, offer.content_hash);
  EXPECT_EQ(module->wasm_hash, offer.wasm_hash);
  EXPECT_EQ(module->code_hash, offer.code_hash);
  EXPECT_EQ(module->target, offer.target);
  EXPECT_EQ(module->engine_fingerprint, "f");
  EXPECT_EQ(module->signature, offer.signature);
  EXPECT_EQ(module->code_size, 99U);

  out.clear();
  append_no_module(out, ContentHash::of("c"), fail(ErrorCode::kBundleFetchFailed).error());
  EXPECT_EQ(parse_no_module(payload_of(out, FrameType::kNoModule, 0))->error.code, ErrorCode::kBundleFetchFailed);
  out.clear();
  append_need_module(out, ContentHash::of("c"));
  EXPECT_EQ(*parse_need_module(payload_of(out, FrameType::kNeedModule, 0)), ContentHash::of("c"));
  out.clear();
  append_host_call(out, 3, {sample_request().handle, "storage.get", "{}"});
  const auto call = parse_host_call(payload_of(out, FrameType::kHostCall, 3));
  ASSERT_TRUE(call);
  EXPECT_EQ(call->handle, sample_request().handle);
  EXPECT_EQ(call->name, "storage.get");
  EXPECT_EQ(call->request_json, "{}");
  out.clear();
  append_host_result(out, 3, {HostCode::kQuota, "x"});
  const auto result = parse_host_result(payload_of(out, FrameType::kHostResult, 3));
  EXPECT_EQ(result->code, HostCode::kQuota);
  EXPECT_EQ(result->response_json, "x");
  out.clear();
  append_open(out, 4, sample_context());
  expect_equal(*parse_open(payload_of(out, FrameType::kOpen, 4)), sample_context());
}

TEST(Frames, RefuseEveryTruncationAndEveryTrailingByte) {
  std::string out;
  append_execute(out, 1, sample_request());
  const std::string execute = out.substr(kFrameHeaderSize);
  ASSERT_TRUE(parse_execute(execute));
  for (std::size_t size = 0; size < execute.size(); ++size) {
    EXPECT_FALSE(parse_execute(std::string_view(execute).substr(0, size))) << size;
  }
  EXPECT_FALSE(parse_execute(execute + '\0'));

  out.clear();
  ExecuteResponse response;
  response.logs = {{LogLine::Level::kInfo, {}, "a"}};
  response.error.emplace();
  append_result(out, 1, response);
  const std::string result = out.substr(kFrameHeaderSize);
  ASSERT_TRUE(parse_result(result));
  for (std::size_t size = 0; size < result.size(); ++size) {
    EXPECT_FALSE(parse_result(std::string_view(result).substr(0, size))) << size;
  }
}

TEST(Frames, RefuseCountsThatTheBytesCannotHold) {
  std::string out;
  append_result(out, 1, ExecuteResponse{});
  std::string result = out.substr(kFrameHeaderSize);
  result.replace(4, 4, "\xff\xff\xff\xff");  // the number of headers
  EXPECT_FALSE(parse_result(result));
  EXPECT_FALSE(parse_host_result(std::string("\x01\x00\x00\x00\x00\x00\x00\x00", 8))) << "positive code";
  EXPECT_FALSE(parse_host_result(std::string("\x00\x00\x00\x80\x00\x00\x00\x00", 8))) << "unknown code";
}

TEST(Frames, PeekWaitsForAHeaderAndRefusesBadOnes) {
  std::string out;
  append_cancel(out, 5);
  EXPECT_FALSE(*peek_frame(std::string_view(out).substr(0, kFrameHeaderSize - 1)));
  EXPECT_TRUE(*peek_frame(out));
  std::string bad = out;
  bad[4] = 9;
  EXPECT_FALSE(peek_frame(bad)) << "unknown type";
  bad = out;
  bad[0] = 8;
  EXPECT_FALSE(peek_frame(bad)) << "shorter than its own header";
  bad = out;
  bad.replace(0, 4, "\x01\x00\x00\x02", 4);
  EXPECT_FALSE(peek_frame(bad)) << "over kMaxFrame";
}

}  // namespace
}  // namespace bulkhead::protocol
