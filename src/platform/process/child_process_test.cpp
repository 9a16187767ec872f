#include "platform/process/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>

#include "platform/process/fd_passing.h"
#include "platform/process/file.h"
#include "platform/process/posix_signals.h"
#include "platform/process/testing.h"
#include "platform/process/wait_fd.h"

namespace bulkhead::process {
namespace {

using namespace std::chrono_literals;

ChildOptions shell(std::string script) {
  return {.program = "/bin/sh", .arguments = {"-c", std::move(script)}, .environment = {"PATH=/usr/bin:/bin"}};
}

// Runs a script to its end and returns what it wrote.
std::string output_of(ChildOptions options) {
  options.stdout_to = Stdio::pipe();
  auto child = ChildProcess::spawn(options).value();
  auto text = read_all(child.take_stdout().get(), 1_MiB).value();
  asio::io_context context(1);
  EXPECT_TRUE(run_on(context, child.wait(10s)).value().success());
  return text;
}

bool exists(pid_t pid) { return ::kill(pid, 0) == 0; }

TEST(ChildProcess, ReportsExitCodeAndSignal) {
  asio::io_context context(1);
  auto three = ChildProcess::spawn(shell("exit 3")).value();
  const auto code = run_on(context, three.wait(10s)).value();
  EXPECT_EQ(code.code, 3);
  EXPECT_EQ(code.to_string(), "exit code 3");
  EXPECT_EQ(three.try_wait()->code, 3);  // and remembers it
  auto killed = ChildProcess::spawn(shell("kill -9 $$")).value();
  const auto signal = run_on(context, killed.wait(10s)).value();
  EXPECT_EQ(signal.signal, SIGKILL);
  EXPECT_FALSE(signal.success());
  EXPECT_EQ(signal.to_string(), "signal 9 (Killed)");
}

TEST(ChildProcess, SaysWhyItCouldNotStart) {
  EXPECT_EQ(ChildProcess::spawn({.program = "/no/such/program"}).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(ChildProcess::spawn({.program = "/etc/passwd"}));
  auto elsewhere = shell("true");
  elsewhere.directory = "/no/such/directory";
  const auto refused = ChildProcess::spawn(elsewhere);
  EXPECT_NE(refused.error().detail.find("chdir"), std::string::npos);
  // No zombie of the attempts.
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST(ChildProcess, InheritsNothingButWhatIsNamed) {
  ::setenv("BULKHEAD_TEST_SECRET", "secret", 1);
  const UniqueFd leak(::open("/etc/passwd", O_RDONLY));  // not even close-on-exec
  EXPECT_EQ(output_of(shell("env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD=")), "PATH=/usr/bin:/bin\n");
  // ls itself holds one more, for the directory.
  EXPECT_EQ(output_of(shell("ls /proc/self/fd | tr '\\n' ' '")), "0 1 2 3 ");
}

TEST(ChildProcess, GivesDescriptorsTheirNumbersEvenWhenTheyCross) {
  const auto directory = TemporaryDirectory::create("child").value();
  std::array<UniqueFd, 3> files;
  for (int i = 0; i < 3; ++i) {
    const auto path = directory.path() + "/" + std::to_string(i);
    ASSERT_TRUE(write_file_atomically(path, "file " + std::to_string(i)));
    files[static_cast<std::size_t>(i)] = open_for_reading(path).value();
  }
  auto options = shell("cat <&3; cat <&4; cat <&9");
  // Number 3 and 4 are surely in use here: some of these exchange places.
  const UniqueFd four(::fcntl(files[0].get(), F_DUPFD_CLOEXEC, 4));
  options.fds = {{.fd = four.get(), .as = 3}, {.fd = files[1].get(), .as = 4}, {.fd = files[2].get(), .as = 9}};
  EXPECT_EQ(output_of(options), "file 0file 1file 2");
}

TEST(ChildProcess, TakesInputAndGivesOutputAndErrors) {
  auto options = shell("cat; echo problem >&2");
  options.stdin_from = Stdio::pipe();
  options.stdout_to = Stdio::pipe();
  options.stderr_to = Stdio::pipe();
  auto child = ChildProcess::spawn(options).value();
  auto input = child.take_stdin();
  ASSERT_TRUE(write_all(input.get(), "typed"));
  input.reset();
  EXPECT_EQ(read_all(child.take_stdout().get(), 1_KiB).value(), "typed");
  EXPECT_EQ(read_all(child.take_stderr().get(), 1_KiB).value(), "problem\n");
}

TEST(ChildProcess, AppliesLimitsSessionAndNoNewPrivileges) {
  auto options = shell("ulimit -n; grep NoNewPrivs /proc/self/status | tr -d '\\t'; cut -d' ' -f6 /proc/$$/stat");
  options.limits = {{.resource = RLIMIT_NOFILE, .soft = 77, .hard = 77}};
  options.session = ChildOptions::Session::kNew;
  options.stdout_to = Stdio::pipe();
  auto child = ChildProcess::spawn(options).value();
  EXPECT_EQ(read_all(child.take_stdout().get(), 1_KiB).value(),
            "77\nNoNewPrivs:1\n" + std::to_string(child.pid()) + "\n");
}

TEST(ChildProcess, ChangesIdentityForGood) {
  if (::geteuid() != 0) return;  // needs CAP_SETUID
  auto options = shell("id -u; id -g; id -G");
  options.identity = Identity{.uid = 65534, .gid = 65533};
  EXPECT_EQ(output_of(options), "65534\n65533\n65533\n");
}

TEST(ChildProcess, StartsWithDefaultSignalsThoughTheParentIgnoresThem) {
  ignore_sigpipe();
  // SIGPIPE is bit 12 of the mask of ignored signals; nothing may be blocked either.
  EXPECT_EQ(output_of(shell("grep -E 'SigIgn|SigBlk' /proc/self/status | tr -d '\\t'")),
            "SigBlk:0000000000000000\nSigIgn:0000000000000000\n");
}

TEST(ChildProcess, IsKilledAndReapedByItsDestructor) {
  pid_t pid = -1;
  {
    const auto child = ChildProcess::spawn(shell("exec sleep 1000")).value();
    pid = child.pid();
    EXPECT_TRUE(exists(pid));
  }
  EXPECT_FALSE(exists(pid));  // a zombie would still exist
}

TEST(ChildProcess, IsReapedAlsoWhileSomeoneWaits) {
  asio::io_context context(1);
  auto child = std::make_unique<ChildProcess>(ChildProcess::spawn(shell("exec sleep 1000")).value());
  const auto pid = child->pid();
  std::optional<Result<ExitStatus>> result;
  asio::co_spawn(context.get_executor(), child->wait(60s),
                 [&](const std::exception_ptr&, Result<ExitStatus> value) { result = std::move(value); });
  context.poll();
  child.reset();
  EXPECT_FALSE(exists(pid));
  context.restart();
  while (!result) context.run_one();
  EXPECT_EQ((*result)->signal, SIGKILL);
}

TEST(ChildProcess, WaitHasADeadline) {
  asio::io_context context(1);
  auto child = ChildProcess::spawn(shell("exec sleep 1000")).value();
  EXPECT_EQ(run_on(context, child.wait(5ms)).error().code, ErrorCode::kDeadlineExceeded);
  ASSERT_TRUE(child.kill(SIGTERM));
  EXPECT_EQ(run_on(context, child.wait(10s))->signal, SIGTERM);
  EXPECT_TRUE(child.kill(SIGTERM));  // fine when it is gone
}

TEST(ChildProcess, StopIsGentleFirst) {
  asio::io_context context(1);
  auto gentle = ChildProcess::spawn(shell("exec sleep 1000")).value();
  EXPECT_EQ(run_on(context, gentle.stop(10s))->signal, SIGTERM);
  auto options = shell("trap '' TERM; echo ready; while :; do sleep 1; done");
  options.stdout_to = Stdio::pipe();
  auto stubborn = ChildProcess::spawn(options).value();
  std::array<char, 5> ready{};
  ASSERT_EQ(::read(stubborn.take_stdout().get(), ready.data(), ready.size()), 5);
  const auto killed = run_on(context, stubborn.stop(20ms));
  ASSERT_TRUE(killed) << killed.error().to_log_string();
  EXPECT_EQ(killed->to_string(), "signal 9 (Killed)");
}

// The parent here is a process of its own, which is killed.
class ParentDeath : public ::testing::TestWithParam<ChildOptions::PidNamespace> {};

TEST_P(ParentDeath, EndsTheChildToo) {
  auto [ours, theirs] = make_socket_pair().value();
  const pid_t parent = ::fork();
  if (parent == 0) {
    auto options = shell("exec sleep 1000");
    options.pid_namespace = GetParam();
    options.stdin_from = Stdio::from_fd(theirs.get());  // open as long as the child lives
    auto child = ChildProcess::spawn(options);
    const char byte = child ? 'y' : 'n';
    static_cast<void>(!::write(theirs.get(), &byte, 1));
    ::raise(SIGKILL);
  }
  theirs.reset();
  std::array<char, 1> byte{};
  ASSERT_EQ(receive_with_fd(ours.get(), byte)->size, 1U);
  EXPECT_EQ(byte[0], 'y');
  EXPECT_EQ(receive_with_fd(ours.get(), byte)->size, 0U);  // end of file: both are gone
  ::waitpid(parent, nullptr, 0);
}
INSTANTIATE_TEST_SUITE_P(Namespaces, ParentDeath,
                         ::testing::Values(ChildOptions::PidNamespace::kSame,
                                           ChildOptions::PidNamespace::kOwnIfPossible));

ChildOptions in_own_pid_namespace(ChildOptions options) {
  options.pid_namespace = ChildOptions::PidNamespace::kOwnIfPossible;
  return options;
}

TEST(ChildProcess, CanBeTheFirstProcessOfItsOwnNamespace) {
  EXPECT_EQ(output_of(in_own_pid_namespace(shell("echo $$ $PPID"))), "1 0\n");
  // It sees nobody whom it could signal.
  EXPECT_EQ(output_of(in_own_pid_namespace(shell("kill -0 " + std::to_string(::getpid()) + " 2>&1 || echo nobody")))
                    .find("nobody") != std::string::npos,
            true);
  asio::io_context context(1);
  auto child = ChildProcess::spawn(in_own_pid_namespace(shell("exit 7"))).value();
  EXPECT_EQ(run_on(context, child.wait(10s))->code, 7);
}

TEST(ChildProcess, InItsOwnNamespaceEndsWithAllThatItStarted) {
  auto [ours, theirs] = make_socket_pair().value();
  auto options = in_own_pid_namespace(shell("sleep 1000 & sleep 1000 & wait"));
  options.stdin_from = Stdio::from_fd(theirs.get());  // open as long as any of them lives
  auto child = ChildProcess::spawn(options).value();
  theirs.reset();
  ASSERT_TRUE(child.kill(SIGKILL));
  std::array<char, 1> byte{};
  EXPECT_EQ(receive_with_fd(ours.get(), byte)->size, 0U);
}

TEST(SelfExe, NamesThisProgram) {
  EXPECT_TRUE(std::filesystem::equivalent(self_exe_path().value(), self_exe()));
  asio::io_context context(1);
  auto child = ChildProcess::spawn({.program = self_exe(), .arguments = {"--gtest_list_tests"}, .stdout_to = {}});
  EXPECT_TRUE(run_on(context, child->wait(30s))->success());
}

TEST(WaitReadable, AnswersWhenReadableAndWhenTheDeadlineIsOver) {
  asio::io_context context(1);
  const UniqueFd event(::eventfd(0, EFD_CLOEXEC));
  EXPECT_EQ(run_on(context, wait_readable(event.get(), 5ms)).error().code, ErrorCode::kDeadlineExceeded);
  ASSERT_EQ(::eventfd_write(event.get(), 1), 0);
  EXPECT_TRUE(run_on(context, wait_readable(event.get(), 10s)));
}

TEST(ShutdownSignals, AreAwaitedAndNotLost) {
  asio::io_context context(1);
  ShutdownSignals signals(context.get_executor());
  ASSERT_EQ(::raise(SIGTERM), 0);
  EXPECT_EQ(run_on(context, signals.next()).value(), SIGTERM);
  ASSERT_EQ(::raise(SIGINT), 0);
  EXPECT_EQ(run_on(context, signals.next()).value(), SIGINT);
}

}  // namespace
}  // namespace bulkhead::process
