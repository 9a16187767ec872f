// The walls around a real runner process. This test program is its own child: with BH_TEST_CHILD set, the one test
// SandboxChild.Main becomes the sandboxed process (ctest never sets it, and the test is then about nothing).
#include "runner/sandbox_layers.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <csignal>
#include <filesystem>
#include <functional>

#include "platform/process/child_process.h"
#include "runner/runner_test_support.h"

namespace bulkhead::runner {
namespace {

using namespace testing;  // runner::testing
using ::testing::HasSubstr;

constexpr int kChannelFd = 3;
constexpr int kDirectoryFd = 4;  // an open directory, kept: what Landlock is for
constexpr int kStrangerFd = 9;   // inherited, and not on the list

pid_t outer_parent() { return static_cast<pid_t>(std::stoi(::getenv("BH_TEST_PARENT"))); }

bool connects_to_loopback() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(::getenv("BH_TEST_PORT"))));
  return ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

bool raises_limit(__rlimit_resource_t resource) {
  rlimit now{};
  ::getrlimit(resource, &now);
  const rlimit more{.rlim_cur = now.rlim_max + 1, .rlim_max = now.rlim_max + 1};
  return ::setrlimit(resource, &more) == 0;
}

bool exists(const char* path) {
  struct stat status{};
  return ::access(path, F_OK) == 0 || ::stat(path, &status) == 0;
}

bool attaches(pid_t pid) { return ::ptrace(PTRACE_ATTACH, pid, nullptr, nullptr) == 0; }

bool reads_memory_of(pid_t pid) {
  char byte = 0;
  const iovec local{.iov_base = &byte, .iov_len = 1};
  const iovec remote{.iov_base = reinterpret_cast<void*>(&outer_parent), .iov_len = 1};
  return ::process_vm_readv(pid, &local, 1, &remote, 1, 0) == 1;
}

// Whether another process can be made. The one made ends at once.
bool forks() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  return child > 0;
}

bool opens_on_another_thread(const char* path) {
  bool opened = false;
  std::thread([&] { opened = ::open(path, O_RDONLY) >= 0; }).join();
  return opened;
}

struct Attempt {
  const char* name;
  std::function<bool()> succeeds;
};

// What a guest that got out might try, layer by layer. All are system calls that a filter may refuse but not punish.
std::vector<Attempt> attempts() {
  return {
      {"open_passwd", [] { return ::open("/etc/passwd", O_RDONLY) >= 0; }},
      {"see_passwd", [] { return exists("/etc/passwd"); }},
      {"see_processes", [] { return exists("/proc/1") || exists("/proc/self/status"); }},
      {"write_file", [] { return ::open("/tmp/escape", O_WRONLY | O_CREAT, 0600) >= 0; }},
      {"write_root", [] { return ::open("/escape", O_WRONLY | O_CREAT, 0600) >= 0; }},
      {"core_pattern", [] { return ::open("/proc/sys/kernel/core_pattern", O_WRONLY) >= 0; }},
      {"open_below_kept_directory", [] { return ::openat(kDirectoryFd, "passwd", O_RDONLY) >= 0; }},
      {"inherited_descriptor", [] { return ::fcntl(kStrangerFd, F_GETFD) >= 0; }},
      {"signal_server", [] { return ::kill(outer_parent(), 0) == 0; }},
      {"signal_parent", [] { return ::getppid() > 0 && ::kill(::getppid(), 0) == 0; }},
      {"signal_everybody", [] { return ::kill(-1, 0) == 0; }},
      {"become_root", [] { return ::setuid(0) == 0; }},
      {"more_descriptors", [] { return raises_limit(RLIMIT_NOFILE); }},
      {"core_file", [] { return raises_limit(RLIMIT_CORE); }},
      {"more_processes", [] { return raises_limit(RLIMIT_NPROC); }},
      {"set_host_name", [] { return ::sethostname("escape", 6) == 0; }},
      {"own_namespace_file", [] { return ::open("/proc/self/ns/net", O_RDONLY) >= 0; }},
  };
}

// System calls that end a filtered process; without the filter the other layers must refuse them.
std::vector<Attempt> deadly_attempts() {
  return {
      {"exec", [] { return ::execl("/bin/true", "true", nullptr) == 0; }},
      {"fork", [] { return forks(); }},
      {"connect", [] { return connects_to_loopback(); }},
      {"ptrace", [] { return attaches(outer_parent()); }},
      {"read_memory", [] { return reads_memory_of(outer_parent()); }},
      {"mount", [] { return ::mount("none", "/proc", "tmpfs", 0, nullptr) == 0; }},
      {"new_user_namespace", [] { return ::unshare(CLONE_NEWUSER) == 0; }},
      {"new_network", [] { return ::unshare(CLONE_NEWNET) == 0; }},
      {"pivot_root", [] { return ::syscall(SYS_pivot_root, "/", "/") == 0; }},
      {"bpf", [] { return ::syscall(SYS_bpf, 0, nullptr, 0) >= 0; }},
  };
}

std::string report_on(const std::vector<Attempt>& tried) {
  std::string report;
  for (const Attempt& attempt : tried) report += std::string(attempt.name) + (attempt.succeeds() ? "=yes " : "=no ");
  return report;
}

void send_report(const std::string& report) {
  static_cast<void>(::write(kChannelFd, report.data(), report.size()) < 0);
}

// BH_TEST_CHILD is "ROLE WHAT": ROLE is runner or compiler; WHAT is report (everything that is only refused), walls
// (everything, without the filter) or the name of one deadly attempt.
void child_that_tries(SandboxRole role, const std::string& what) {
  auto layers = drop_privileges({kChannelFd, kDirectoryFd}, {});
  std::string report;
  // A thread started here stands for the engine's and the log's: they open what is to be opened before the seal.
  if (what == "walls") report += opens_on_another_thread("/etc/passwd") ? "thread_opens=yes " : "thread_opens=no ";
  seal_process(layers, {}, role);
  if (what == "walls") {
    send_report(report + report_on(attempts()) + report_on(deadly_attempts()));
    ::_exit(0);
  }
  filter_system_calls(layers, role);
  for (const Attempt& attempt : deadly_attempts()) {
    if (what == attempt.name) attempt.succeeds();
  }
  if (what == "clone_process") ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (what == "threads") {
    std::thread([&report] { report = "thread=yes "; }).join();
  }
  if (what == "report") {
    report = to_json(layers) + " " + report_on(attempts());
    report += ::socket(AF_INET, SOCK_STREAM, 0) >= 0 ? "socket=yes " : "socket=no ";
    report += ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? "unix_socket=yes " : "unix_socket=no ";
    report += ::send(kChannelFd, "", 0, 0) == 0 ? "send=yes " : "send=no ";
    report += ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 ? "dumpable=yes " : "dumpable=no ";
    const void* mapped = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    report += mapped != MAP_FAILED ? "map_memory=yes " : "map_memory=no ";
  }
  send_report(report);
  ::_exit(0);
}

TEST(SandboxChild, Main) {
  const char* named = ::getenv("BH_TEST_CHILD");
  if (named == nullptr) return;
  const std::string role = named;
  if (role != "serve") {
    const std::size_t space = role.find(' ');
    child_that_tries(role.starts_with("runner") ? SandboxRole::kRunner : SandboxRole::kCompiler,
                     role.substr(space + 1));
  }
  RunnerOptions options = small_options();
  options.channels = {kChannelFd};
  const auto key = hex_decode(::getenv("BH_TEST_CODE_KEY"));
  std::ranges::copy(*key, options.code_key.begin());
  if (const char* required = ::getenv("BH_TEST_REQUIRE")) options.required_layers = {required};
  ::_exit(run(options) ? 0 : 1);
}

struct Child {
  process::ChildProcess process;
  SupervisorEnd end;
};

// A listener on loopback, which no child may reach.
class LoopbackListener {
 public:
  LoopbackListener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    BH_ASSERT(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
    BH_ASSERT(::listen(socket_.get(), 16) == 0);
    BH_ASSERT(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  int port() const { return port_; }

 private:
  process::UniqueFd socket_;
  int port_ = 0;
};

Child start_child(const std::string& role, std::vector<std::string> environment = {}) {
  static const LoopbackListener listener;
  auto pair = std::move(*process::make_socket_pair());
  const process::UniqueFd directory(::open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  process::ChildOptions options;
  options.program = process::self_exe();
  options.arguments = {"--gtest_filter=SandboxChild.Main"};
  options.environment = std::move(environment);
  options.environment.insert(options.environment.end(),
                             {"BH_TEST_CHILD=" + role, "BH_TEST_PARENT=" + std::to_string(::getpid()),
                              "BH_TEST_PORT=" + std::to_string(listener.port())});
  for (const std::string name : {"ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"}) {
    if (const char* value = ::getenv(name.c_str())) options.environment.push_back(name + "=" + value);
  }
  options.stdout_to = process::Stdio::null();
  options.fds = {{.fd = pair.first.get(), .as = kChannelFd},
                 {.fd = directory.get(), .as = kDirectoryFd},
                 {.fd = pair.first.get(), .as = kStrangerFd}};
  options.pid_namespace = process::ChildOptions::PidNamespace::kOwnIfPossible;
  auto process = process::ChildProcess::spawn(options);
  BH_ASSERT(process.has_value());
  return {std::move(*process), SupervisorEnd(std::move(pair.second))};
}

std::string key_setting(const CodeMaker& maker) {
  const std::string key(reinterpret_cast<const char*>(maker.public_key().data()), maker.public_key().size());
  return "BH_TEST_CODE_KEY=" + hex_encode(key);
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

class SandboxRoles : public ::testing::TestWithParam<const char*> {
 protected:
  std::string role(const std::string& what) const { return std::string(GetParam()) + " " + what; }
};

// On a machine where one of them can't be had this fails, and names it: whoever runs there should know. cgroup v1 is
// what the development machines have.
TEST_P(SandboxRoles, HaveEveryLayerOnThisMachine) {
  Child child = start_child(role("report"));
  const std::string report = read_all_of(child.end);
  EXPECT_TRUE(end_of(child).success());
  for (const std::string_view layer : protocol::kSandboxLayerNames) {
    const std::string named = R"({"layer":")" + std::string(layer) + R"(","active":)";
    EXPECT_THAT(report, HasSubstr(named + (layer == "cgroup" ? "" : "true"))) << report;
  }
}

TEST_P(SandboxRoles, RefuseWhateverReachesOutside) {
  Child child = start_child(role("report"));
  const std::string report = read_all_of(child.end);
  EXPECT_TRUE(end_of(child).success());
  for (const Attempt& attempt : attempts()) {
    EXPECT_THAT(report, HasSubstr(std::string(" ") + attempt.name + "=no ")) << report;
  }
  for (const char* what : {"socket", "unix_socket", "dumpable"}) {
    EXPECT_THAT(report, HasSubstr(std::string(" ") + what + "=no ")) << report;
  }
  EXPECT_THAT(report, HasSubstr(" map_memory=yes "));
  EXPECT_THAT(report, HasSubstr(std::string(GetParam()) == "runner" ? " send=yes " : " send=no ")) << report;
}

// Each wall stands by itself: with no filter of system calls the others still hold.
TEST_P(SandboxRoles, HoldWithoutTheFilterOfSystemCalls) {
  Child child = start_child(role("walls"));
  const std::string report = " " + read_all_of(child.end);
  EXPECT_TRUE(end_of(child).success());
  EXPECT_THAT(report, HasSubstr(" thread_opens=no "));
  for (const auto& tried : {attempts(), deadly_attempts()}) {
    for (const Attempt& attempt : tried) {
      // The compiler has threads, and processes count like them: the filter tells the two apart.
      const bool counted = std::string(GetParam()) == "compiler" && attempt.name == std::string("fork");
      if (!counted) EXPECT_THAT(report, HasSubstr(std::string(" ") + attempt.name + "=no ")) << report;
    }
  }
}

TEST_P(SandboxRoles, EndWithTheSystemCallThatOnlyAnEscapeMakes) {
  std::vector<std::string> names = {"clone_process"};
  for (const Attempt& attempt : deadly_attempts()) names.emplace_back(attempt.name);
  for (const std::string& name : names) {
    Child child = start_child(role(name));
    EXPECT_EQ(end_of(child).signal, SIGSYS) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, SandboxRoles, ::testing::Values("runner", "compiler"),
                         [](const auto& info) { return std::string(info.param); });

TEST(SandboxLayers, GiveThreadsToTheCompilerOnly) {
  Child compiler = start_child("compiler threads");
  EXPECT_EQ(read_all_of(compiler.end), "thread=yes ");
  EXPECT_TRUE(end_of(compiler).success());
  Child runner = start_child("runner threads");
  EXPECT_EQ(end_of(runner).signal, SIGSYS);
}

TEST(SandboxLayers, KeepARunnerFromStartingWithoutARequiredOne) {
  const CodeMaker maker;
  Child child = start_child("serve", {key_setting(maker), "BH_TEST_REQUIRE=cgroup"});
  EXPECT_EQ(end_of(child).code, 1);
  EXPECT_EQ(read_all_of(child.end), "");
}

TEST(SandboxLayers, LetARunnerDoItsWork) {
  const CodeMaker maker;
  Child child = start_child("serve", {key_setting(maker)});
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
  Child child = start_child("serve", {key_setting(maker)});
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
