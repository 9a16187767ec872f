// The walls around a real runner process. This test program is its own child: with BH_TEST_CHILD set, the one test
// SandboxChild.Main becomes the sandboxed process (ctest never sets it, and the test is then about nothing).
#include "runner/sandbox_layers.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include "platform/process/child_process.h"
#include "runner/runner_test_support.h"

namespace bulkhead::runner {
namespace {

using namespace testing;  // runner::testing
using ::testing::HasSubstr;

constexpr int kChannelFd = 3;

// What a guest that got out might try. Each line is a name and what came of it.
std::string try_to_get_out() {
  std::string report;
  const auto note = [&report](const char* what, bool worked) {
    report += std::string(what) + (worked ? "=yes " : "=no ");
  };
  note("read_file", ::open("/etc/passwd", O_RDONLY) >= 0);
  note("write_file", ::open("/tmp/escape", O_WRONLY | O_CREAT, 0600) >= 0);
  struct stat status{};
  note("stat_file",
       ::access("/etc/passwd", F_OK) == 0 || ::stat("/etc/passwd", &status) == 0 || ::stat("/proc/1", &status) == 0);
  note("socket", ::socket(AF_INET, SOCK_STREAM, 0) >= 0);
  note("unix_socket", ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
  note("signal_parent", ::kill(::getppid(), 0) == 0);
  note("become_root", ::setuid(0) == 0);
  note("raise_limit", [] {
    const rlimit more{.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
    return ::setrlimit(RLIMIT_NOFILE, &more) == 0;
  }());
  note("new_namespace_fd", ::open("/proc/self/ns/net", O_RDONLY) >= 0);
  note("other_descriptors", ::fcntl(9, F_GETFD) >= 0);
  note("map_memory", ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
  return report;
}

void child_that_tries(const std::string& what) {
  auto layers = drop_privileges({kChannelFd});
  seal_process(layers, {});
  if (what == "exec") ::execl("/bin/true", "true", nullptr);
  if (what == "connect") ::connect(kChannelFd, nullptr, 0);
  if (what == "fork") ::fork();
  if (what == "report") {
    const std::string report = to_json(layers) + " " + try_to_get_out();
    static_cast<void>(::write(kChannelFd, report.data(), report.size()) < 0);
  }
  ::_exit(0);
}

TEST(SandboxChild, Main) {
  const char* role = ::getenv("BH_TEST_CHILD");
  if (role == nullptr) return;
  if (std::string(role) != "runner") child_that_tries(role);
  RunnerOptions options = small_options();
  options.channels = {kChannelFd};
  const auto key = hex_decode(::getenv("BH_TEST_CODE_KEY"));
  std::ranges::copy(*key, options.code_key.begin());
  ::_exit(run(options) ? 0 : 1);
}

struct Child {
  process::ChildProcess process;
  SupervisorEnd end;
};

Child start_child(const std::string& role, const std::string& code_key = {}) {
  auto pair = std::move(*process::make_socket_pair());
  process::ChildOptions options;
  options.program = process::self_exe();
  options.arguments = {"--gtest_filter=SandboxChild.Main"};
  options.environment = {"BH_TEST_CHILD=" + role, "BH_TEST_CODE_KEY=" + code_key};
  options.stdout_to = process::Stdio::null();
  options.fds = {{.fd = pair.first.get(), .as = kChannelFd}, {.fd = pair.first.get(), .as = 9}};
  auto process = process::ChildProcess::spawn(options);
  BH_ASSERT(process.has_value());
  return {std::move(*process), SupervisorEnd(std::move(pair.second))};
}

process::ExitStatus end_of(Child& child) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < give_up) {
    if (const auto status = child.process.try_wait()) return *status;
    std::this_thread::yield();
  }
  ADD_FAILURE() << "the child does not end";
  return {};
}

std::string read_all_of(const SupervisorEnd& end) {
  std::string text;
  char piece[4'096];
  for (ssize_t got = 0; (got = ::recv(end.fd(), piece, sizeof piece, 0)) > 0;) {
    text.append(piece, static_cast<std::size_t>(got));
  }
  return text;
}

// /proc/PID/task/*/status
std::vector<std::string> thread_statuses(pid_t pid) {
  std::vector<std::string> statuses;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    std::ifstream file(thread.path() / "status");
    statuses.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  EXPECT_GT(statuses.size(), 1U);
  return statuses;
}

bool has_pagemap_open(pid_t pid) {
  for (const auto& file : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    std::error_code ignored;
    if (std::filesystem::read_symlink(file.path(), ignored).string().ends_with("/pagemap")) return true;
  }
  return false;
}

bool is_root() { return ::geteuid() == 0; }

TEST(SandboxLayers, LeaveAnEscapedGuestNothingToReach) {
  Child child = start_child("report");
  const std::string report = read_all_of(child.end);
  EXPECT_TRUE(end_of(child).success());
  for (const char* what : {"read_file", "write_file", "stat_file", "socket", "unix_socket", "signal_parent",
                           "raise_limit", "new_namespace_fd", "other_descriptors"}) {
    EXPECT_THAT(report, HasSubstr(std::string(what) + "=no ")) << report;
  }
  if (is_root()) EXPECT_THAT(report, HasSubstr("become_root=no "));
  EXPECT_THAT(report, HasSubstr("map_memory=yes "));
  for (const char* layer : {"descriptors", "rlimits", "identity", "no_new_privs", "nproc", "seccomp"}) {
    EXPECT_THAT(report, HasSubstr(R"({"layer":")" + std::string(layer) + R"(","active":true)")) << report;
  }
}

TEST(SandboxLayers, KillTheProcessThatReachesOutside) {
  for (const char* what : {"exec", "connect", "fork"}) {
    Child child = start_child(what);
    EXPECT_EQ(end_of(child).signal, SIGSYS) << what;
  }
}

TEST(SandboxLayers, LetARunnerDoItsWork) {
  const CodeMaker maker;
  const std::string key(reinterpret_cast<const char*>(maker.public_key().data()), maker.public_key().size());
  Child child = start_child("runner", hex_encode(key));
  for (const std::string name : {"hello", "one_storage_get", "trap", "grow", "loop", "recurse", "hello"}) {
    const SignedCode code = maker.make(name);
    auto request = request_for(code);
    request.limits.timeout = Millis(500);
    request.limits.memory = 16_MiB;
    std::string frame;
    protocol::append_execute(frame, 1, request);
    ASSERT_TRUE(child.end.send(frame));
    auto answer = child.end.receive();
    while (answer && answer->type != FrameType::kResult) {
      frame.clear();
      if (answer->type == FrameType::kNeedModule) {
        protocol::append_module(frame, code.offer);
        const auto file = process::make_sealed_memfd("code", code.code);
        ASSERT_TRUE(child.end.send(frame, file->get()));
      } else {
        protocol::append_host_result(frame, answer->id, {.response_json = "stored"});
        ASSERT_TRUE(child.end.send(frame));
      }
      answer = child.end.receive();
    }
    ASSERT_TRUE(answer) << name << ": the runner died: " << end_of(child).to_string();
    const auto response = protocol::parse_result(answer->payload);
    ASSERT_TRUE(response);
    if (name == "hello") EXPECT_EQ(response->body, "hello");
    if (name == "one_storage_get") EXPECT_EQ(response->body, "stored");
    EXPECT_EQ(response->error.has_value(), name != "hello" && name != "one_storage_get") << name;
  }
  child.end.close();
  EXPECT_TRUE(end_of(child).success()) << "ends by itself once its supervisor is gone";
}

TEST(SandboxLayers, LetARunnerEndOnSigterm) {
  const CodeMaker maker;
  const std::string key(reinterpret_cast<const char*>(maker.public_key().data()), maker.public_key().size());
  Child child = start_child("runner", hex_encode(key));
  std::string frame;
  protocol::append_signal(frame, FrameType::kPing, 5);
  ASSERT_TRUE(child.end.send(frame));
  const auto pong = child.end.receive();
  ASSERT_TRUE(pong && pong->type == FrameType::kPong);
  EXPECT_THAT(pong->payload, HasSubstr(R"({"layer":"seccomp","active":true)"));
  for (const std::string& status : thread_statuses(child.process.pid())) {
    EXPECT_THAT(status, HasSubstr("CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n")) << status;
    EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1\nSeccomp:\t2\n")) << status;
    if (is_root()) EXPECT_THAT(status, HasSubstr("Uid:\t61184\t61184\t61184\t61184\n")) << status;
  }
  if (is_root()) {
    // Slots are reset through it; without it every call would pay for clearing pages that the guest never touched.
    const RunningRunner unconfined(maker);
    EXPECT_EQ(has_pagemap_open(child.process.pid()), has_pagemap_open(::getpid()));
  }
  ASSERT_TRUE(child.process.kill(SIGTERM));
  EXPECT_TRUE(end_of(child).success());
}

}  // namespace
}  // namespace bulkhead::runner
