// A runner that was taken over speaks on the socket instead of ours: whatever it says, it is ended and replaced, and
// nobody waits for it. This test program is its own hostile runner: started by the supervisor with --hostile=MODE, the
// one test HostileRunner.Main becomes it (ctest never passes that, and the test is then about nothing).
#include "features/runners/runner_supervisor.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <map>
#include <thread>

#include "features/extensions/sql_install_directory.h"
#include "platform/blob/stores.h"
#include "platform/process/fd_passing.h"
#include "platform/process/file.h"
#include "platform/sql/test_database.h"

namespace bulkhead {
std::vector<sql::Migration> broker_migrations();
std::vector<sql::Migration> extensions_migrations();
}  // namespace bulkhead

namespace bulkhead::runners {
namespace {

using protocol::FrameType;

constexpr int kChannelFd = 3;
constexpr std::string_view kFlag = "--hostile=";

// ---- the hostile side ----

void say(std::string_view bytes, int fd = -1) { static_cast<void>(process::send_with_fd(kChannelFd, bytes, fd)); }

struct HeardFrame {
  FrameType type{};
  std::uint64_t id = 0;
  std::string payload;
};

HeardFrame hear() {
  static std::string heard;
  while (true) {
    const auto header = protocol::peek_frame(heard);
    if (header && *header && heard.size() >= (*header)->length + 4) {
      const std::size_t size = (*header)->length + 4;
      HeardFrame frame{(*header)->type, (*header)->id,
                       heard.substr(protocol::kFrameHeaderSize, size - protocol::kFrameHeaderSize)};
      heard.erase(0, size);
      return frame;
    }
    char piece[65'536];
    const ssize_t got = ::read(kChannelFd, piece, sizeof piece);
    if (got <= 0) ::_exit(0);
    heard.append(piece, static_cast<std::size_t>(got));
  }
}

// The next frame of that type; pings are answered meanwhile.
HeardFrame hear(FrameType type) {
  while (true) {
    HeardFrame frame = hear();
    if (frame.type == FrameType::kPing) {
      std::string pong;
      protocol::append_signal(pong, FrameType::kPong, frame.id, R"({"sandbox":[]})");
      say(pong);
    }
    if (frame.type == type) return frame;
  }
}

ExecutionHandle made_up_handle(std::uint8_t number) { return ExecutionHandle::from_bytes({1, 2, 3, number}); }

std::string host_call(std::uint64_t id, const ExecutionHandle& handle) {
  std::string frame;
  protocol::append_host_call(frame, id, {.handle = handle, .name = "storage.get", .request_json = R"({"key":"a"})"});
  return frame;
}

ExecutionHandle handle_of_next_call() { return protocol::parse_execute(hear(FrameType::kExecute).payload)->handle; }

const std::map<std::string, std::function<void()>>& hostile_modes() {
  static const std::map<std::string, std::function<void()>> modes = {
      {"garbage", [] { say(std::string(1'000, '\xfe')); }},
      {"a_frame_of_4_GiB", [] { say(std::string("\xff\xff\xff\xff\x41", 5)); }},
      {"a_torn_result",
       [] {
         std::string frame;
         protocol::append_result(frame, 1, {});
         frame[0] = static_cast<char>(frame[0] - 1);
         frame.pop_back();
         say(frame);
       }},
      {"a_supervisor's_frame",
       [] {
         std::string frame;
         protocol::append_signal(frame, FrameType::kDrain, 1);
         say(frame);
       }},
      {"descriptors", [] { say("x", kChannelFd); }},
      {"handles_that_are_not_its_own",
       [] {
         for (std::uint8_t i = 0; i < 200; ++i) say(host_call(i, made_up_handle(i)));
       }},
      {"results_of_nothing",
       [] {
         for (std::uint64_t i = 1'000; i < 1'200; ++i) {
           std::string frame;
           protocol::append_result(frame, i, {});
           say(frame);
         }
       }},
      {"somebody_else's_module",
       [] {
         std::string frame;
         protocol::append_need_module(frame, ContentHash::of("somebody else's"));
         say(frame);
       }},
      {"a_flood_of_host_calls",
       [] {
         const ExecutionHandle handle = handle_of_next_call();
         std::string flood;
         for (std::uint64_t i = 0; i < 10'000; ++i) flood += host_call(i, handle);
         say(flood);
       }},
      {"more_host_calls_than_allowed",
       [] {
         const ExecutionHandle handle = handle_of_next_call();
         for (std::uint64_t i = 0; i < 50; ++i) {
           say(host_call(i, handle));
           hear(FrameType::kHostResult);
         }
       }},
      {"silence", [] {}},
      {"no_answers",
       [] {
         while (true) hear(FrameType::kExecute);
       }},
  };
  return modes;
}

TEST(HostileRunner, Main) {
  std::ifstream file("/proc/self/cmdline");
  const std::string line((std::istreambuf_iterator<char>(file)), {});
  const std::size_t at = line.find(kFlag);
  if (at == std::string::npos) return;
  const std::string mode(line.c_str() + at + kFlag.size());
  if (mode == "a_closed_channel") {
    ::close(kChannelFd);
  } else {
    hostile_modes().at(mode)();
  }
  while (true) ::pause();
}

// ---- the supervisor's side ----

class NoBundles final : public BundleSource {
 public:
  Task<Result<VerifiedGuest>> open(ContentHash) override { co_return fail(ErrorCode::kBundleFetchFailed); }
};

class HostileRunnerTest : public testing::TestWithParam<std::string> {
 protected:
  SupervisorOptions options(const std::string& mode) {
    SupervisorOptions options;
    options.program = process::self_exe();
    options.arguments = {"--gtest_filter=HostileRunner.Main", std::string(kFlag) + mode};
    options.first_backoff = Millis(10);
    options.ping_interval = Millis(20);
    options.silence_limit = Millis(mode == "silence" ? 200 : 10'000);
    options.give_up_slack = Millis(30);
    return options;
  }
  void start(const std::string& mode) {
    supervisor_ = std::make_unique<RunnerSupervisor>(cores_, options(mode), modules_, broker_,
                                                     std::vector<broker::ExecutionTable*>{&executions_}, directory_,
                                                     clock_, registry_);
    cores_.start();
    supervisor_->start();
  }
  ~HostileRunnerTest() override {
    database_.close();
    cores_.stop();
  }
  // One call, as the gateway makes it; its outcome's error code.
  ErrorCode call() {
    std::promise<ErrorCode> outcome;
    cores_.spawn(0, [this, &outcome]() -> Task<> {
      protocol::ExecuteRequest request;
      request.context.tenant_id = install_->tenant_id;
      request.context.content_hash = ContentHash::of("bundle");
      request.limits.timeout = Millis(20);
      const auto answer = co_await supervisor_->dispatcher(0).execute(request, install_, nullptr);
      outcome.set_value(answer ? ErrorCode::kInternal : answer.error().error.code);
    });
    return outcome.get_future().get();
  }
  pid_t wait_for_runner(pid_t other_than = 0) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < give_up) {
      const auto up = supervisor_->pids();
      if (!up.empty() && up.front() != other_than) return up.front();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ADD_FAILURE() << "no runner comes up";
    return 0;
  }
  std::uint64_t misbehaved() { return registry_.counter("runner_misbehaved_total", "").value(); }

  static extensions::InstalledPtr make_install() {
    SeededRandom random(5);
    auto install = std::make_shared<extensions::InstalledExtension>();
    install->install_id = InstallId::v4(random);
    install->tenant_id = TenantId::v4(random);
    install->granted_capabilities = {"storage.kv"};
    install->limits.host_calls = 20;
    return install;
  }

  SystemClock clock_;
  SystemRandom random_;
  metrics::Registry registry_;
  sql::TestFolder folder_;
  sql::TestDatabase database_ =
      sql::open_test_database(sql::Engine::kSqlite, {extensions_migrations(), broker_migrations()});
  Cores cores_{1};
  ThreadPool pool_{1, 16};
  NoBundles bundles_;
  std::unique_ptr<blob::Store> blobs_ = *blob::make_fs_store({.root = folder_.path() / "blobs"});
  CodeSigner signer_ = *CodeSigner::load_or_create(folder_.path() / "key");
  CompilerProcess compiler_{{.program = process::self_exe(), .arguments = {}}, registry_};
  ModuleProvider modules_{bundles_, *blobs_, signer_, compiler_, pool_, {}, {}, registry_};
  broker::Broker broker_{*database_, clock_, registry_};
  broker::ExecutionTable executions_{clock_, random_};
  extensions::SqlInstallDirectory directory_{*database_, clock_, registry_};
  extensions::InstalledPtr install_ = make_install();
  std::unique_ptr<RunnerSupervisor> supervisor_;
};

TEST_P(HostileRunnerTest, IsKilledAndReplaced) {
  start(GetParam());
  const pid_t hostile = wait_for_runner();
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (misbehaved() == 0 && std::chrono::steady_clock::now() < give_up) {
    // Some wait for a call before they show what they are. It ends, one way or another.
    const ErrorCode code = call();
    EXPECT_TRUE(code == ErrorCode::kRunnerUnavailable || code == ErrorCode::kDeadlineExceeded)
        << static_cast<int>(code);
  }
  EXPECT_GE(misbehaved(), 1U);
  EXPECT_NE(wait_for_runner(hostile), hostile);
  EXPECT_NE(::kill(hostile, 0), 0) << "it lives on";
}

std::vector<std::string> mode_names() {
  std::vector<std::string> names;
  for (const auto& [name, act] : hostile_modes()) names.push_back(name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(Modes, HostileRunnerTest, testing::ValuesIn(mode_names()), [](const auto& info) {
  std::string name = info.param;
  std::erase(name, '\'');
  return name;
});

class ClosingRunnerTest : public HostileRunnerTest {};

// Nothing to reproach it with, but of no use: a process without its channel must not linger either.
TEST_P(ClosingRunnerTest, IsReplaced) {
  start(GetParam());
  const pid_t closed = wait_for_runner();
  EXPECT_NE(wait_for_runner(closed), closed);
  EXPECT_NE(::kill(closed, 0), 0);
  EXPECT_EQ(misbehaved(), 0U);
}
INSTANTIATE_TEST_SUITE_P(Modes, ClosingRunnerTest, testing::Values("a_closed_channel"));

}  // namespace
}  // namespace bulkhead::runners
