#include "protocol/execute_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace bulkhead::protocol {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr std::string_view kTenant = "11111111-1111-4111-8111-111111111111";
constexpr std::string_view kExtension = "22222222-2222-4222-8222-222222222222";
constexpr std::string_view kInstall = "33333333-3333-4333-8333-333333333333";
constexpr std::string_view kVersion = "01890000-0000-7000-8000-000000000001";

ExecuteRequest sample_request() {
  ExecuteRequest request;
  request.context.request_id = "req-1";
  request.context.tenant_id = *TenantId::parse(kTenant);
  request.context.extension_id = *ExtensionId::parse(kExtension);
  request.context.install_id = *InstallId::parse(kInstall);
  request.context.content_hash = ContentHash::of("bundle");
  request.context.version_id = *VersionId::parse(kVersion);
  HttpCall call;
  call.method = "GET";
  call.path = "/agreements/7";
  call.handler = "getAgreement";
  call.params = {{"id", "7"}};
  call.query = {{"a", "1"}, {"b", "2"}, {"a", "3"}};
  call.headers = {{"accept", "text/html"}, {"x-note", "\xc3\xa9\""}, {"accept", "*/*"}};
  call.body = "hi";
  request.call = call;
  return request;
}

std::string context_text() {
  return R"({"context":{"request_id":"req-1","tenant_id":"11111111-1111-4111-8111-111111111111",)"
         R"("extension_id":"22222222-2222-4222-8222-222222222222","install_id":"33333333-3333-4333-8333-333333333333",)"
         R"("content_hash":")" +
         ContentHash::of("bundle").to_string() + R"(","version_id":"01890000-0000-7000-8000-000000000001"})";
}

TEST(ExecuteJson, WritesTheRequestOfTheContract) {
  EXPECT_EQ(serialize_execute_request(sample_request()),
            context_text() +
                R"(,"http":{"method":"GET","path":"/agreements/7","handler":"getAgreement","params":{"id":"7"},)"
                R"("query":{"b":"2","a":"3"},"query_all":{"a":["1","3"],"b":["2"]},)"
                R"("headers":{"accept":"text/html, */*","x-note":"é\""},"body_b64":"aGk="},)"
                R"("limits":{"timeout_ms":5000,"memory_mb":256}})");
}

TEST(ExecuteJson, GivesTheGuestTheContextAndTheCallButNoLimitsAndNoHandle) {
  ExecuteRequest request = sample_request();
  request.handle = ExecutionHandle::from_bytes({1, 2, 3});
  request.context.config_json = R"({"rate":1.0})";
  request.context.user_json = R"({"id":"u"})";
  request.call = ScheduleCall{"nightly"};
  std::string guest = "x";
  append_guest_request(guest, request);
  std::string expected = "x" + context_text();
  expected.pop_back();
  EXPECT_EQ(guest, expected + R"(,"config":{"rate":1.0},"user":{"id":"u"}},"schedule":{"id":"nightly"}})");
}

TEST(ExecuteJson, WritesEvents) {
  ExecuteRequest request = sample_request();
  request.call = EventCall{"billing.statement.created", "e1", R"({"n":12345678901234567890123})"};
  std::string guest;
  append_guest_request(guest, request);
  EXPECT_EQ(guest,
            context_text() +
                R"(,"event":{"topic":"billing.statement.created","id":"e1","payload":{"n":12345678901234567890123}}})");
}

TEST(ExecuteJson, NamesTheHandlerOfEventsAndSchedules) {
  ExecuteRequest request = sample_request();
  request.call = EventCall{"t", "e1", "{}", "on_created", 2};
  std::string guest;
  append_guest_request(guest, request);
  EXPECT_EQ(guest,
            context_text() + R"(,"event":{"topic":"t","id":"e1","payload":{},"handler":"on_created","attempt":2}})");
  guest.clear();
  request.call = ScheduleCall{"nightly", "tidy", "[1]", "2026-11-22T03:00:00Z"};
  append_guest_request(guest, request);
  EXPECT_EQ(
      guest,
      context_text() +
          R"(,"schedule":{"id":"nightly","handler":"tidy","scheduled_at":"2026-11-22T03:00:00Z","payload":[1]}})");
}

TEST(ExecuteJson, ReadsEventsAndSchedules) {
  ExecuteRequest request = sample_request();
  request.call = EventCall{"t", "e1", R"({"n":1.0})", "on_created", 1, "com.example.a"};
  const auto event = parse_execute_request(serialize_execute_request(request));
  ASSERT_TRUE(event) << event.error().to_log_string();
  EXPECT_EQ(std::get<EventCall>(event->call).payload_json, R"({"n":1.0})");
  EXPECT_EQ(std::get<EventCall>(event->call).handler, "on_created");
  EXPECT_EQ(std::get<EventCall>(event->call).source, "com.example.a");
  request.call = ScheduleCall{"nightly", "tidy", "[1]", "2026-11-22T03:00:00Z"};
  const auto schedule = parse_execute_request(serialize_execute_request(request));
  ASSERT_TRUE(schedule) << schedule.error().to_log_string();
  EXPECT_EQ(std::get<ScheduleCall>(schedule->call).handler, "tidy");
  EXPECT_EQ(std::get<ScheduleCall>(schedule->call).payload_json, "[1]");
  EXPECT_EQ(std::get<ScheduleCall>(schedule->call).scheduled_at, "2026-11-22T03:00:00Z");
}

TEST(ExecuteJson, ReadsWhatItWrites) {
  ExecuteRequest request = sample_request();
  request.context.config_json = R"({"a":[1,2.50]})";
  request.context.trace_parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  request.limits.timeout = Millis(1'234);
  request.limits.memory = 64_MiB;
  request.limits.fuel = 99;
  const auto parsed = parse_execute_request(serialize_execute_request(request));
  ASSERT_TRUE(parsed) << parsed.error().to_log_string();
  EXPECT_EQ(parsed->context.request_id, "req-1");
  EXPECT_EQ(parsed->context.tenant_id, request.context.tenant_id);
  EXPECT_EQ(parsed->context.extension_id, request.context.extension_id);
  EXPECT_EQ(parsed->context.install_id, request.context.install_id);
  EXPECT_EQ(parsed->context.content_hash, request.context.content_hash);
  EXPECT_EQ(parsed->context.version_id, request.context.version_id);
  EXPECT_EQ(parsed->context.config_json, request.context.config_json);
  EXPECT_EQ(parsed->context.trace_parent, request.context.trace_parent);
  EXPECT_EQ(parsed->limits.timeout, Millis(1'234));
  EXPECT_EQ(parsed->limits.memory, 64_MiB);
  EXPECT_EQ(parsed->limits.fuel, 99U);
  EXPECT_EQ(parsed->handle, ExecutionHandle());
  const auto& call = std::get<HttpCall>(parsed->call);
  EXPECT_EQ(call.method, "GET");
  EXPECT_EQ(call.handler, "getAgreement");
  EXPECT_EQ(call.body, "hi");
  EXPECT_THAT(call.params, ElementsAre(Pair("id", "7")));
  EXPECT_THAT(call.query, ElementsAre(Pair("a", "1"), Pair("a", "3"), Pair("b", "2")));
  EXPECT_THAT(call.headers, ElementsAre(Pair("accept", "text/html, */*"), Pair("x-note", "\xc3\xa9\"")));
}

std::string minimal(std::string_view call, std::string_view rest = {}) {
  return context_text() + "," + std::string(call) + std::string(rest) + "}";
}

TEST(ExecuteJson, AcceptsAMinimalRequestOfAnotherProgram) {
  const auto parsed = parse_execute_request(minimal(
      R"("http":{"method":"POST","path":"/x","query":{"k":"v"},"headers":{"Content-Type":"a"},"body_b64":null})",
      R"(,"unknown":{"deep":[1,2]},"limits":{"timeout_ms":99999999,"memory_mb":99999})"));
  ASSERT_TRUE(parsed) << parsed.error().to_log_string();
  const auto& call = std::get<HttpCall>(parsed->call);
  EXPECT_THAT(call.query, ElementsAre(Pair("k", "v")));
  EXPECT_THAT(call.headers, ElementsAre(Pair("content-type", "a")));
  EXPECT_TRUE(call.body.empty());
  EXPECT_EQ(parsed->limits.timeout, kMaxTimeout) << "cut to the hard maximum";
  EXPECT_EQ(parsed->limits.memory, kMaxMemory);
}

TEST(ExecuteJson, NamesEveryWrongMemberByPointer) {
  const auto parsed = parse_execute_request(
      R"({"context":{"request_id":1,"tenant_id":"nope","content_hash":"sha256:12","config":[]},)"
      R"("http":{"method":"GET","headers":{"a/b":1},"body_b64":"%%"},"limits":{"timeout_ms":0,"memory_mb":"x"}})");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ErrorCode::kBadRequest);
  std::vector<std::string> pointers;
  for (const auto& field : parsed.error().fields) pointers.push_back(field.pointer);
  EXPECT_THAT(pointers, UnorderedElementsAre("/context/request_id", "/context/tenant_id", "/context/content_hash",
                                             "/context/config", "/context/extension_id", "/context/install_id",
                                             "/context/version_id", "/http/headers/a~1b", "/http/body_b64",
                                             "/http/path", "/limits/timeout_ms", "/limits/memory_mb"));
}

TEST(ExecuteJson, RefusesForms) {
  const struct {
    std::string body;
    ErrorCode code;
  } cases[] = {
      {"", ErrorCode::kInvalidJson},
      {"{", ErrorCode::kInvalidJson},
      {"[]", ErrorCode::kBadRequest},
      {"{}", ErrorCode::kBadRequest},
      {minimal(R"("http":{"method":"GET","path":"/"})") + "x", ErrorCode::kInvalidJson},
      {minimal(R"("http":{"method":"GET","path":"/"},"schedule":{"id":"a"})"), ErrorCode::kBadRequest},
      {minimal(R"("limits":{})"), ErrorCode::kBadRequest},
      {minimal(R"("http":{"method":"GET","path":"/","path":"/admin"})"), ErrorCode::kBadRequest},
      {minimal(R"("http":{"method":"GET","path":"/"},"context":{})"), ErrorCode::kBadRequest},
      {minimal(R"("event":{"id":"1","payload":1})"), ErrorCode::kBadRequest},
      {minimal(R"("http":{"method":"GET","path":"\ud800"})"), ErrorCode::kInvalidJson},
  };
  for (const auto& [body, code] : cases) {
    const auto parsed = parse_execute_request(body);
    ASSERT_FALSE(parsed) << body;
    EXPECT_EQ(parsed.error().code, code) << body << " → " << parsed.error().to_log_string();
  }
}

TEST(ExecuteJson, WritesTheResponseOfTheContract) {
  ExecuteResponse response;
  response.headers = {{"content-type", "text/plain"}};
  response.body = "hello";
  response.usage = {.cpu_us = 7, .wall_us = 9, .memory_bytes = 65536, .fuel = {}, .egress_bytes = 3, .host_calls = 2};
  EXPECT_EQ(serialize_execute_response(response),
            R"({"status":200,"headers":{"content-type":"text/plain"},"body_b64":"aGVsbG8=",)"
            R"("usage":{"cpu_us":7,"wall_us":9,"memory_bytes":65536,"egress_bytes":3,"host_calls":2}})");
  response = {};
  response.status = 429;
  response.error.emplace();
  response.error->code = ErrorCode::kConcurrencyExceeded;
  response.error->retry_after_ms = 1'500;
  response.error->detail = "never shown";
  response.usage.fuel = 5;
  EXPECT_EQ(serialize_execute_response(response),
            R"({"status":429,"headers":{"retry-after":"2"},"body_b64":"",)"
            R"("error":{"code":"concurrency_exceeded","message":"Too many calls at once"},)"
            R"("usage":{"cpu_us":0,"wall_us":0,"memory_bytes":0,"fuel":5,"egress_bytes":0,"host_calls":0}})");
}

TEST(ExecuteJson, ReadsTheResponseItWrites) {
  ExecuteResponse response;
  response.status = 502;
  response.error.emplace();
  response.error->code = ErrorCode::kRunnerSignatureInvalid;
  response.error->message = "no";
  response.error->retry_after_ms = 2'000;
  response.usage.host_calls = 4;
  const auto parsed = parse_execute_response(serialize_execute_response(response));
  ASSERT_TRUE(parsed) << parsed.error().to_log_string();
  EXPECT_EQ(parsed->status, 502);
  EXPECT_EQ(parsed->error->code, ErrorCode::kRunnerSignatureInvalid) << "502, not the registry's 422 of publishing";
  EXPECT_EQ(parsed->error->message, "no");
  EXPECT_EQ(parsed->error->retry_after_ms, 2'000);
  EXPECT_TRUE(parsed->headers.empty());
  EXPECT_EQ(parsed->usage.host_calls, 4U);
  EXPECT_FALSE(parse_execute_response("{}x"));
  EXPECT_FALSE(parse_execute_response(R"({"status":"200"})"));
  EXPECT_FALSE(parse_execute_response(R"({"status":200,"body_b64":"="})"));
}

TEST(GuestResponse, IsTheDocumentOrElseTheBytes) {
  const struct {
    std::string_view bytes;
    int status;
    std::string_view body;
  } cases[] = {
      {R"({"status":201,"headers":{},"body_b64":"aGk="})", 201, "hi"},
      {R"({"body_b64":"aGk="})", 200, "hi"},
      {R"({"status":404,"headers":null,"body_b64":null})", 404, ""},
      {"{}", 200, ""},
      {"", 200, ""},
      {"hello", 200, "hello"},
      {R"({"status":"ok"})", 200, R"({"status":"ok"})"},
      {R"({"status":200,"data":1})", 200, R"({"status":200,"data":1})"},
      {R"({"status":101})", 200, R"({"status":101})"},
      {R"({"status":600})", 200, R"({"status":600})"},
      {R"({"status":200,"status":201})", 200, R"({"status":200,"status":201})"},
      {R"({"body_b64":"a"})", 200, R"({"body_b64":"a"})"},
      {R"({"headers":{"a":1}})", 200, R"({"headers":{"a":1}})"},
      {R"({"status":200} )", 200, ""},
      {R"({"status":200}x)", 200, R"({"status":200}x)"},
      {"[1,2]", 200, "[1,2]"},
      {"\xff\x00", 200, "\xff"},
  };
  for (const auto& [bytes, status, body] : cases) {
    const auto response = parse_guest_response(bytes);
    EXPECT_EQ(response.status, status) << bytes;
    EXPECT_EQ(response.body, body) << bytes;
  }
}

TEST(GuestResponse, LowersHeaderNamesAndDropsWhatIsNotHttp) {
  const auto response = parse_guest_response(
      R"({"headers":{"Content-Type":"text/plain","a b":"x","x-split":"a\r\nset-cookie: b","x-nul":"\u0000","":"e","X-Ok":"é"}})");
  EXPECT_THAT(response.headers, ElementsAre(Pair("content-type", "text/plain"), Pair("x-ok", "\xc3\xa9")));
}

}  // namespace
}  // namespace bulkhead::protocol
