// For the HTTP client's tests: a server on plain sockets that answers byte for byte what a test says. It knows just
// enough HTTP to tell where a request ends, so that it shares no code, and no mistakes, with ours.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/error.h"
#include "platform/process/unique_fd.h"

namespace bulkhead::net {

// Listens on a free port of 127.0.0.1. Every connection has a thread that reads one request after the other and answers
// with the bytes that the test's function returns; an empty answer closes the connection.
class RawServer {
 public:
  struct Seen {
    std::string head;
    std::string body;
    int connection = 0;
  };
  using Script = std::function<std::string(const Seen&)>;

  explicit RawServer(Script script) : script_(std::move(script)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    BH_ASSERT(::bind(listener_.get(), generic, size) == 0 && ::listen(listener_.get(), 64) == 0);
    BH_ASSERT(::getsockname(listener_.get(), generic, &size) == 0);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~RawServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    {
      const std::scoped_lock lock(mutex_);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    for (auto& thread : threads_) thread.join();
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string url(std::string_view path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
  }
  int connections() const {
    const std::scoped_lock lock(mutex_);
    return connections_;
  }
  // Waits until `count` connections have been closed by the other end.
  bool wait_for_closed(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return closed_ >= count; });
  }

 private:
  void accept_all() {
    while (true) {
      const int fd = ::accept(listener_.get(), nullptr, nullptr);
      if (fd < 0) return;
      const std::scoped_lock lock(mutex_);
      open_.insert(fd);
      const int number = ++connections_;
      threads_.emplace_back([this, fd, number] { serve(fd, number); });
    }
  }
  void serve(int fd, int number) {
    std::string buffer;
    while (const auto request = read_request(fd, buffer)) {
      const auto answer = script_({.head = request->head, .body = request->body, .connection = number});
      if (answer.empty() || ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) break;
      if (answer.find("connection: close") != std::string::npos) break;
    }
    const std::scoped_lock lock(mutex_);
    open_.erase(fd);
    ::close(fd);
    ++closed_;
    changed_.notify_all();
  }
  static std::optional<Seen> read_request(int fd, std::string& buffer) {
    std::string piece(65'536, '\0');
    std::size_t end = 0;
    std::size_t size = 0;
    while (true) {
      end = buffer.find("\r\n\r\n");
      if (end != std::string::npos) {
        const auto at = buffer.find("Content-Length: ");
        size = at < end ? std::stoul(buffer.substr(at + 16)) : 0;
        if (buffer.size() >= end + 4 + size) break;
      }
      const auto got = ::recv(fd, piece.data(), piece.size(), 0);
      if (got <= 0) return std::nullopt;
      buffer.append(piece, 0, static_cast<std::size_t>(got));
    }
    Seen seen{.head = buffer.substr(0, end + 2), .body = buffer.substr(end + 4, size)};
    buffer.erase(0, end + 4 + size);
    return seen;
  }

  Script script_;
  process::UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::thread acceptor_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::set<int> open_;
  std::vector<std::thread> threads_;
  int connections_ = 0;
  int closed_ = 0;
};

}  // namespace bulkhead::net
