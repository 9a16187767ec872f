#include "runner/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "runner/runner_fixture.h"

namespace bulkhead::runner {
namespace {

using namespace testing;  // runner::testing
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST_F(RunnerTest, AsksForAModuleOnceAndRunsEverybodyWhoWaits) {
  begin();
  const auto& hello = guest("hello");
  const auto first = execute(request_for(hello));
  const auto second = execute(request_for(hello, tenant(2)));
  expect_need(hello);
  give(hello);
  const auto response = result(first);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "hello");
  EXPECT_THAT(response.headers, ElementsAre(Pair("content-type", "text/plain")));
  EXPECT_GT(response.usage.memory_bytes, 0U);
  EXPECT_GT(response.usage.wall_us, 0U);
  EXPECT_EQ(result(second).body, "hello");
  const auto third = execute(request_for(hello));
  EXPECT_EQ(result(third).body, "hello") << "from the cache";
}

TEST_F(RunnerTest, HandsTheRequestToTheGuestAndItsLogsBack) {
  begin();
  auto request = request_for(guest("echo"));
  std::get<protocol::HttpCall>(request.call).body = "ping";
  const auto echoed = run(guest("echo"), request);
  EXPECT_THAT(echoed.body, HasSubstr(R"("request_id":"req-1")"));
  EXPECT_THAT(echoed.body, HasSubstr(R"("body_b64":"cGluZw==")"));
  const auto logged = run("log");
  ASSERT_EQ(logged.logs.size(), 3U);
  EXPECT_EQ(logged.logs[1].text, "a warning");
  EXPECT_EQ(logged.logs[1].level, protocol::LogLine::Level::kWarn);
}

TEST_F(RunnerTest, PassesOnWhyThereIsNoModule) {
  begin();
  const auto id = execute(request_for(guest("hello")));
  expect_need(guest("hello"));
  std::string frame;
  protocol::append_no_module(frame, guest("hello").offer.content_hash,
                             fail(ErrorCode::kArchiveHashMismatch, "changed").error());
  ASSERT_TRUE(end().send(frame));
  const auto response = result(id);
  ASSERT_TRUE(response.error);
  EXPECT_EQ(response.error->code, ErrorCode::kArchiveHashMismatch);
  EXPECT_EQ(response.status, 502);
  expect_hello();
}

TEST_F(RunnerTest, GivesUpOnAModuleThatDoesNotCome) {
  RunnerOptions options = small_options();
  options.modules.load_timeout = Millis(50);
  begin(options);
  const auto id = execute(request_for(guest("hello")));
  expect_need(guest("hello"));
  EXPECT_EQ(result(id).error->code, ErrorCode::kBundleFetchFailed);
  auto request = request_for(guest("hello"));
  request.limits.timeout = Millis(20);
  const auto impatient = execute(request);
  expect_need(guest("hello"));
  EXPECT_EQ(result(impatient).error->code, ErrorCode::kBundleFetchFailed) << "its own deadline came first";
}

// Every way in which machine code can be wrong; each is refused before anything is mapped executable.
TEST_F(RunnerTest, RefusesCodeThatIsNotExactlyWhatWasSigned) {
  begin();
  const SignedCode good = guest("hello");
  const auto sealed = [](std::string_view bytes) { return std::move(*process::make_sealed_memfd("code", bytes)); };
  const auto unsealed = [](std::string_view bytes) {
    process::UniqueFd fd(::memfd_create("code", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    return fd;
  };
  std::string changed_code = good.code;
  changed_code[changed_code.size() / 2] ^= 1;
  const CodeMaker stranger;

  struct Case {
    std::string what;
    SignedCode code;
    process::UniqueFd file;
    ErrorCode expected;
  };
  std::vector<Case> cases;
  const auto add = [&cases](std::string what, SignedCode code, process::UniqueFd file, ErrorCode expected) {
    cases.push_back({std::move(what), std::move(code), std::move(file), expected});
  };
  SignedCode code = good;
  code.offer.signature[10] ^= 1;
  add("changed signature", code, sealed(good.code), ErrorCode::kRunnerSignatureInvalid);
  code = good;
  code.offer.signature.clear();
  add("no signature", code, sealed(good.code), ErrorCode::kRunnerSignatureInvalid);
  code = good;
  stranger.sign(code.offer);
  add("another installation's signature", code, sealed(good.code), ErrorCode::kRunnerSignatureInvalid);
  code = good;
  code.offer.code_hash = ContentHash::of(changed_code);
  add("changed hash, old signature", code, sealed(changed_code), ErrorCode::kRunnerSignatureInvalid);
  code = guest("trap");
  code.offer.content_hash = good.offer.content_hash;
  add("another bundle's code", code, sealed(code.code), ErrorCode::kRunnerSignatureInvalid);
  add("changed code", good, sealed(changed_code), ErrorCode::kModuleInvalid);
  add("shorter code", good, sealed(good.code.substr(1)), ErrorCode::kModuleInvalid);
  add("unsealed file", good, unsealed(good.code), ErrorCode::kModuleInvalid);
  code = good;
  code.offer.engine_fingerprint += "x";
  code_maker().sign(code.offer);
  add("made for another engine", code, sealed(good.code), ErrorCode::kModuleInvalid);
  code = good;
  code.code = "not machine code";
  code.offer.code_hash = ContentHash::of(code.code);
  code.offer.code_size = code.code.size();
  code_maker().sign(code.offer);
  add("signed nonsense", code, sealed(code.code), ErrorCode::kModuleInvalid);

  for (const auto& wrong : cases) {
    const auto id = execute(request_for(good));
    expect_need(good);
    std::string frame;
    protocol::append_module(frame, wrong.code.offer);
    ASSERT_TRUE(end().send(frame, wrong.file.get()));
    const auto response = result(id);
    ASSERT_TRUE(response.error) << wrong.what;
    EXPECT_EQ(response.error->code, wrong.expected) << wrong.what << ": " << response.error->to_log_string();
    EXPECT_EQ(response.status, 502) << wrong.what;
  }
  expect_hello();
}

TEST_F(RunnerTest, ForgetsTheModuleThatWasUsedLongestAgo) {
  RunnerOptions options = small_options();
  options.modules.count = 2;
  begin(options);
  run("hello");
  run("echo");
  run("hello");
  run("trap");  // pushes echo out
  EXPECT_EQ(run("hello").body, "hello") << "still there: used after echo";
  loaded_.erase(guest("echo").offer.content_hash.hex());
  EXPECT_EQ(run("echo").status, 200) << "asked for again";
}

TEST_F(RunnerTest, CarriesAHostCallToTheBrokerAndItsAnswerBack) {
  begin();
  const auto& code = guest("one_storage_get");
  const auto id = execute(request_for(code));
  expect_need(code);
  give(code);
  const Frame call = expect_frame(FrameType::kHostCall);
  const auto parsed = protocol::parse_host_call(call.payload);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->name, "storage.get");
  EXPECT_EQ(parsed->request_json, R"({"key":"k"})");
  EXPECT_EQ(parsed->handle, request_for(code).handle);
  answer(call.id + 1'000, protocol::HostCode::kOk, "nobody asked");
  answer(call.id, protocol::HostCode::kOk, R"({"value":1})");
  const auto response = result(id);
  EXPECT_EQ(response.body, R"({"value":1})");
  EXPECT_EQ(response.usage.host_calls, 1U);

  const auto denied = execute(request_for(code));
  answer(expect_frame(FrameType::kHostCall).id, protocol::HostCode::kDenied, "");
  EXPECT_EQ(result(denied).error->code, ErrorCode::kHandlerError) << "a denial is an answer; this guest returns it";
}

TEST_F(RunnerTest, OpensAnExecutionWithoutAHandleAtItsFirstHostCall) {
  begin();
  const auto& code = guest("storage");
  auto request = request_for(code);
  request.handle = {};
  const auto id = execute(request);
  expect_need(code);
  give(code);
  const Frame open = expect_frame(FrameType::kOpen);
  EXPECT_EQ(protocol::parse_open(open.payload)->tenant_id, request.context.tenant_id);
  answer(open.id, protocol::HostCode::kOk, "0123456789abcdef");
  for (const std::string name : {"storage.set", "storage.get", "storage.delete", "storage.get"}) {
    const Frame call = expect_frame(FrameType::kHostCall);
    const auto parsed = protocol::parse_host_call(call.payload);
    EXPECT_EQ(parsed->name, name);
    EXPECT_EQ(parsed->handle.bytes()[15], 'f') << "the handle that the broker gave, for every call";
    static int gets = 0;
    const bool gone = name == "storage.get" && ++gets == 2;
    answer(call.id, gone ? protocol::HostCode::kNotFound : protocol::HostCode::kOk, gone ? "" : R"({"v":1})");
  }
  EXPECT_EQ(result(id).body, R"({"v":1})");

  const auto refused = execute(request);
  answer(expect_frame(FrameType::kOpen).id, protocol::HostCode::kDenied, "");
  EXPECT_EQ(result(refused).error->code, ErrorCode::kHandlerError);
  const auto garbled = execute(request);
  answer(expect_frame(FrameType::kOpen).id, protocol::HostCode::kOk, "short");
  EXPECT_EQ(result(garbled).error->code, ErrorCode::kHandlerError);
}

TEST_F(RunnerTest, AnswersContextGetItself) {
  begin();
  auto request = request_for(guest("host_flood"));
  request.limits.host_calls = 5'000;
  EXPECT_EQ(run(guest("host_flood"), request).body, "2000");
}

TEST_F(RunnerTest, ServesTheNextCallAfterEveryKindOfGuestFailure) {
  begin();
  const struct {
    const char* name;
    ErrorCode code;
    int status;
  } failures[] = {
      {"trap", ErrorCode::kTrap, 500},
      {"divide", ErrorCode::kTrap, 500},
      {"load_out_of_bounds", ErrorCode::kTrap, 500},
      {"recurse", ErrorCode::kTrap, 500},
      {"abort", ErrorCode::kTrap, 500},
      {"loop", ErrorCode::kTimeout, 504},
      {"initialize_loop", ErrorCode::kTimeout, 504},
      {"initialize_trap", ErrorCode::kTrap, 500},
      {"grow", ErrorCode::kMemoryExceeded, 507},
      {"handler_error", ErrorCode::kHandlerError, 500},
      {"oob_pointer", ErrorCode::kModuleInvalid, 502},
  };
  for (const auto& [name, code, status] : failures) {
    auto request = request_for(guest(name));
    request.limits.timeout = Millis(200);
    request.limits.memory = 8_MiB;
    const auto response = run(guest(name), request);
    ASSERT_TRUE(response.error) << name;
    EXPECT_EQ(response.error->code, code) << name << ": " << response.error->to_log_string();
    EXPECT_EQ(response.status, status) << name;
    expect_hello();
  }
}

TEST_F(RunnerTest, ReportsItsHealthOnPing) {
  begin();
  std::string frame;
  protocol::append_signal(frame, FrameType::kPing, 77, "stats");
  ASSERT_TRUE(end().send(frame));
  const Frame pong = expect_frame(FrameType::kPong);
  EXPECT_EQ(pong.id, 77U);
  EXPECT_THAT(pong.payload, HasSubstr(R"("status":"ok")"));
  EXPECT_THAT(pong.payload, HasSubstr(R"("sandbox":[)"));
  EXPECT_THAT(expect_frame(FrameType::kStats).payload, HasSubstr("runner_executions_live 0"));
}

TEST_F(RunnerTest, DrainsByFinishingWhatRunsAndRefusingWhatComes) {
  begin();
  const auto& code = guest("one_storage_get");
  const auto running = execute(request_for(code));
  expect_need(code);
  give(code);
  const Frame call = expect_frame(FrameType::kHostCall);
  std::string frame;
  protocol::append_signal(frame, FrameType::kDrain, 0);
  ASSERT_TRUE(end().send(frame));
  const auto refused = execute(request_for(code));
  EXPECT_EQ(result(refused).error->code, ErrorCode::kShuttingDown);
  answer(call.id, protocol::HostCode::kOk, "last");
  EXPECT_EQ(result(running).body, "last");
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!runner_->ended() && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  EXPECT_TRUE(runner_->ended());
}

TEST_F(RunnerTest, ClosesTheChannelOnAMalformedFrame) {
  std::string bad_type;
  protocol::append_result(bad_type, 1, {});  // only runners send results
  std::string bad_payload;
  protocol::append_signal(bad_payload, FrameType::kExecute, 1, "garbage");
  std::string module_without_file;
  protocol::append_module(module_without_file, guest("hello").offer);
  const std::vector<std::string> cases = {std::string(13, '\xff'), bad_type, bad_payload, module_without_file};
  for (const auto& bytes : cases) {
    begin();
    ASSERT_TRUE(end().send(bytes));
    EXPECT_FALSE(end().receive()) << "the end of the stream";
  }
}

TEST_F(RunnerTest, LosesOneChannelWithoutHarmToTheOthers) {
  begin(small_options(), 2);
  const auto& code = guest("hello");
  execute(request_for(code), 0);
  expect_need(code, 0);
  const auto other = execute(request_for(code, tenant(2)), 1);
  end(0).close();
  expect_need(code, 1);  // asked for again, through the channel of the one who still waits
  give(code, 1);
  EXPECT_EQ(result(other, 1).body, "hello");
}

TEST_F(RunnerTest, TakesFramesInAnyPieces) {
  begin();
  expect_hello();
  std::string frames;
  auto request = request_for(guest("echo"));
  std::get<protocol::HttpCall>(request.call).body = std::string(3'000'000, 'x');
  protocol::append_execute(frames, 1'001, request);
  protocol::append_execute(frames, 1'002, request_for(guest("hello")));
  const std::string_view all(frames);
  ASSERT_TRUE(end().send(all.substr(0, 5)));
  ASSERT_TRUE(end().send(all.substr(5, 1'000)));
  ASSERT_TRUE(end().send(all.substr(1'005)));
  expect_need(guest("echo"));
  EXPECT_EQ(result(1'002).body, "hello");
  give(guest("echo"));
  EXPECT_GT(result(1'001).body.size(), 4'000'000U) << "the guest's request, with the body as base64";
}

}  // namespace
}  // namespace bulkhead::runner
