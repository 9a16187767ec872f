#include "platform/blob/test_s3.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

namespace bulkhead::blob {
namespace {

constexpr auto kStartTime = std::chrono::seconds(20);

// Where `./dev setup` puts Go programs.
std::string program_path() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  auto cache = variable("BULKHEAD_CACHE");
  if (cache.empty() && !variable("XDG_CACHE_HOME").empty()) cache = variable("XDG_CACHE_HOME") + "/bulkhead";
  if (cache.empty()) cache = variable("HOME") + "/.cache/bulkhead";
  return cache + "/go/bin/versitygw";
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// The server can't choose a port itself. Another program could take this one in between; the start then fails loudly.
std::uint16_t free_port() {
  const process::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto address = loopback(0);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  BH_ASSERT(::bind(socket.get(), generic, size) == 0 && ::getsockname(socket.get(), generic, &size) == 0);
  return ntohs(address.sin_port);
}

bool accepts(std::uint16_t port) {
  const process::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto address = loopback(port);
  return ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

Result<TestS3> TestS3::start() {
  auto program = program_path();
  if (::access(program.c_str(), X_OK) != 0) {
    return fail(ErrorCode::kNotFound, "versitygw is missing: run ./dev setup", program);
  }
  BH_TRY(auto directory, process::TemporaryDirectory::create("test-s3"));
  TestS3 s3(std::move(directory), std::move(program), free_port());
  BH_TRY_VOID(process::make_directory(s3.bucket_path()));
  BH_TRY_VOID(s3.restart());
  return s3;
}

Status TestS3::restart() {
  server_.reset();
  BH_TRY(const auto log, process::open_for_appending(directory_.path() + "/log"));
  BH_TRY(auto server, process::ChildProcess::spawn({.program = program_,
                                                    .arguments = {"-a", "test-key", "-s", "test-secret", "-p",
                                                                  "127.0.0.1:" + std::to_string(port_), "--keep-alive",
                                                                  "posix", directory_.path() + "/data"},
                                                    .environment = {"HOME=" + directory_.path()},
                                                    .stdout_to = process::Stdio::from_fd(log.get()),
                                                    .stderr_to = process::Stdio::from_fd(log.get())}));
  server_.emplace(std::move(server));
  const auto until = std::chrono::steady_clock::now() + kStartTime;
  while (!accepts(port_)) {
    if (const auto ended = server_->try_wait(); ended || std::chrono::steady_clock::now() > until) {
      const auto said = process::read_file(directory_.path() + "/log", 1_MiB);
      return fail(ErrorCode::kInternal, "versitygw does not start", said ? *said : std::string());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return {};
}

S3Options TestS3::options() const {
  return {.endpoint = "http://127.0.0.1:" + std::to_string(port_),
          .bucket = std::string(kBucket),
          .access_key = "test-key",
          .secret_key = "test-secret"};
}

}  // namespace bulkhead::blob
