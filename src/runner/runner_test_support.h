// A real runner on a thread of its own and the supervisor's ends of its channels, for the room's tests and benchmarks.
#pragma once

#include <sodium.h>
#include <sys/socket.h>

#include <fstream>
#include <iterator>
#include <map>
#include <thread>

#include "platform/process/fd_passing.h"
#include "platform/process/memfd.h"
#include "protocol/frames.h"
#include "runner/runner.h"
#include "sandbox/compiler.h"

namespace bulkhead::runner::testing {

using protocol::FrameType;

struct Frame {
  FrameType type{};
  std::uint64_t id = 0;
  std::string payload;
};

// The supervisor's end of one channel: blocking, every wait has a deadline.
class SupervisorEnd {
 public:
  explicit SupervisorEnd(process::UniqueFd socket) : socket_(std::move(socket)) {
    const timeval deadline{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  }
  bool send(std::string_view bytes, int fd = -1) { return process::send_with_fd(socket_.get(), bytes, fd).has_value(); }
  // The next frame; nullopt at the end of the stream or when none comes.
  std::optional<Frame> receive() {
    while (true) {
      const auto header = protocol::peek_frame(in_);
      if (!header) return std::nullopt;
      if (*header && in_.size() >= (*header)->length + 4) {
        const std::size_t size = (*header)->length + 4;
        Frame frame{(*header)->type, (*header)->id,
                    in_.substr(protocol::kFrameHeaderSize, size - protocol::kFrameHeaderSize)};
        in_.erase(0, size);
        return frame;
      }
      char piece[65'536];
      const ssize_t got = ::recv(socket_.get(), piece, sizeof piece, 0);
      if (got <= 0) return std::nullopt;
      in_.append(piece, static_cast<std::size_t>(got));
    }
  }
  int fd() const { return socket_.get(); }
  void close() { socket_.reset(); }

 private:
  process::UniqueFd socket_;
  std::string in_;
};

struct SignedCode {
  protocol::ModuleOffer offer;
  std::string code;
};

// The compile process and the code signer of an installation, in one.
class CodeMaker {
 public:
  CodeMaker() : compiler_(std::move(*sandbox::Compiler::create(sandbox::Metering::kNone))) {
    crypto_sign_keypair(public_key_.data(), secret_key_.data());
  }
  const protocol::CodePublicKey& public_key() const { return public_key_; }
  SignedCode make(const std::string& guest) const {
    std::ifstream file(std::string(BH_TEST_GUESTS_DIR) + "/" + guest + ".wasm", std::ios::binary);
    const std::string wasm((std::istreambuf_iterator<char>(file)), {});
    auto code = compiler_->compile(wasm);
    BH_ASSERT(code.has_value());
    SignedCode made;
    made.offer = {.content_hash = ContentHash::of("bundle of " + guest),
                  .wasm_hash = ContentHash::of(wasm),
                  .code_hash = ContentHash::of(*code),
                  .target = std::string(sandbox::compile_target()),
                  .engine_fingerprint = compiler_->fingerprint(),
                  .signature = {},
                  .code_size = code->size()};
    made.code = std::move(*code);
    sign(made.offer);
    return made;
  }
  void sign(protocol::ModuleOffer& offer) const {
    const std::string text = protocol::module_signing_text(offer);
    offer.signature.resize(crypto_sign_BYTES);
    crypto_sign_detached(reinterpret_cast<unsigned char*>(offer.signature.data()), nullptr,
                         reinterpret_cast<const unsigned char*>(text.data()), text.size(), secret_key_.data());
  }

 private:
  std::unique_ptr<sandbox::Compiler> compiler_;
  protocol::CodePublicKey public_key_{};
  std::array<unsigned char, crypto_sign_SECRETKEYBYTES> secret_key_{};
};

inline RunnerOptions small_options() {
  RunnerOptions options;
  options.engine.slots = 64;
  options.engine.max_memory = 64_MiB;
  options.executions.max_live = 64;
  return options;
}

class RunningRunner {
 public:
  explicit RunningRunner(const CodeMaker& code, RunnerOptions options = small_options(), std::size_t channels = 1)
      : cores_(1) {
    options.code_key = code.public_key();
    for (std::size_t i = 0; i < channels; ++i) {
      auto pair = std::move(*process::make_socket_pair());
      options.channels.push_back(pair.first.release());
      ends_.push_back(std::make_unique<SupervisorEnd>(std::move(pair.second)));
    }
    auto made = Runner::create(cores_, options, {}, clock_, registry_);
    if (!made) {
      std::fprintf(stderr, "%s\n", made.error().to_log_string().c_str());
      std::abort();
    }
    runner_ = std::move(*made);
    runner_->start();
    thread_ = std::thread([this] {
      cores_.at(0).context().run();
      ended_ = true;
    });
  }
  ~RunningRunner() {
    for (auto& end : ends_) end->close();
    cores_.at(0).context().stop();
    thread_.join();
  }
  SupervisorEnd& end(std::size_t index = 0) { return *ends_[index]; }
  bool ended() const { return ended_; }
  pthread_t thread() { return thread_.native_handle(); }

 private:
  SystemClock clock_;
  metrics::Registry registry_;
  Cores cores_;
  std::unique_ptr<Runner> runner_;
  std::vector<std::unique_ptr<SupervisorEnd>> ends_;
  std::thread thread_;
  std::atomic<bool> ended_ = false;
};

inline TenantId tenant(std::uint8_t number) {
  std::array<std::uint8_t, 16> bytes{};
  bytes[0] = number;
  return TenantId(Uuid::from_bytes(bytes));
}

inline protocol::ExecuteRequest request_for(const SignedCode& code, TenantId who = tenant(1)) {
  protocol::ExecuteRequest request;
  request.context.request_id = "req-1";
  request.context.tenant_id = who;
  request.context.content_hash = code.offer.content_hash;
  request.handle = ExecutionHandle::from_bytes({9, 9, 9});
  request.call = protocol::HttpCall{
      .method = "GET", .path = "/", .handler = {}, .params = {}, .query = {}, .headers = {}, .body = {}};
  return request;
}

}  // namespace bulkhead::runner::testing
