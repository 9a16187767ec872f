// For the server's tests: a service whose paths do what a test needs, and a client that sends raw bytes over a real
// socket and reads answers strictly.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "platform/net/http_server.h"

namespace bulkhead::net::test {

// Waits up to 20 s for a condition.
inline bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(Millis(1));
  }
  return condition();
}

// Answers by path. Members that tests look at are atomic: the service runs on the cores' threads.
class PathService final : public HttpService {
 public:
  BodyPlan plan(const RequestHead& head) override {
    BodyPlan plan;
    plan.limit = body_limit;
    plan.deadline = body_deadline;
    if (head.path().starts_with("/stream/")) plan.mode = BodyPlan::Mode::kStreamed;
    return plan;
  }

  Task<Response> handle(Request& request) override {
    ++handled;
    const std::string path(request.path());
    if (path == "/echo") co_return Response::text(200, "application/octet-stream", request.body);
    if (path == "/target") co_return describe(request);
    if (path == "/peer") co_return Response::text(200, "text/plain", request.peer.to_string());
    if (path == "/stream/count") co_return co_await count_body(request);
    if (path == "/stream/ignore") co_return Response::text(200, "text/plain", "ignored");
    if (path == "/large") co_return Response::text(200, "text/plain", std::string(large_size, 'L'));
    if (path == "/pieces") co_return pieces(request);
    if (path == "/live") co_return live();
    if (path == "/cut") co_return cut();
    if (path == "/length") co_return with_length();
    if (path == "/wait") co_return co_await wait_for_release(request);
    if (path == "/throw") throw std::runtime_error("a handler's bug");
    if (path == "/close") co_return closing();
    if (path == "/bad-fields") co_return bad_fields();
    if (path == "/empty") co_return Response::empty(204);
    if (path == "/not-modified") co_return Response::empty(304);
    co_return Response::text(200, "text/plain", "hello " + path);
  }

  Response refuse(const Error& error) override {
    ++refused;
    return problem(error, "test-request");
  }

  Bytes body_limit = 64_KiB;
  Millis body_deadline{10'000};
  std::size_t large_size = 8 << 20;
  std::atomic<int> handled{0}, refused{0}, waiting{0}, left{0}, write_failures{0};
  std::atomic<bool> released{false}, seen_gone{false};

 private:
  static Response describe(const Request& request) {
    std::string text = request.method_text + ' ' + request.target + ' ';
    text += request.headers.find("host").value_or("-");
    return Response::text(200, "text/plain", text);
  }

  static Task<Response> count_body(Request& request) {
    std::array<char, 1000> piece;
    std::size_t total = 0, sum = 0;
    while (true) {
      const auto count = co_await request.stream->read(piece);
      if (!count) co_return problem(count.error(), "");
      if (*count == 0) break;
      total += *count;
      for (std::size_t i = 0; i < *count; ++i) sum += static_cast<unsigned char>(piece[i]);
    }
    co_return Response::text(200, "text/plain", std::to_string(total) + ' ' + std::to_string(sum));
  }

  // "?n": that many pieces.
  Response pieces(const Request& request) {
    int count = 0;
    std::from_chars(request.query().data(), request.query().data() + request.query().size(), count);
    Response response = Response::empty(200);
    response.stream = [count](ResponseWriter& writer) { return write_pieces(count, writer); };
    return response;
  }
  static Task<> write_pieces(int count, ResponseWriter& writer) {
    for (int i = 0; i < count; ++i) {
      if (!co_await writer.write("piece " + std::to_string(i) + "\n")) co_return;
      if (i % 7 == 0) co_await sleep_for(Millis(0));
    }
    if (!co_await writer.write(std::string(100'000, 'B'))) co_return;
  }

  // Writes until the client leaves.
  Response live() {
    Response response = Response::empty(200);
    response.stream = [this](ResponseWriter& writer) { return write_for_ever(this, writer); };
    return response;
  }
  static Task<> write_for_ever(PathService* self, ResponseWriter& writer) {
    const std::string piece(16'000, 'x');
    while (true) {
      if (const Status written = co_await writer.write(piece); !written) {
        EXPECT_EQ(written.error().code, ErrorCode::kCancelled);
        break;
      }
    }
    ++self->write_failures;
  }

  static Response cut() {
    Response response = Response::empty(200);
    response.stream = [](ResponseWriter& writer) { return write_and_abort(writer); };
    return response;
  }
  static Task<> write_and_abort(ResponseWriter& writer) {
    (void)co_await writer.write("the beginning");
    writer.abort();
  }

  static Response with_length() {
    Response response = Response::empty(200);
    response.headers.add("Content-Length", "10");
    response.stream = [](ResponseWriter& writer) { return write_ten(writer); };
    return response;
  }
  static Task<> write_ten(ResponseWriter& writer) {
    (void)co_await writer.write("01234");
    (void)co_await writer.write("56789");
    const Status more = co_await writer.write("x");
    EXPECT_FALSE(more.has_value());
  }

  Task<Response> wait_for_release(Request& request) {
    if (request.query() == "watch") request.client->when_gone([this] { ++left; });
    ++waiting;
    while (!released && left == 0) co_await sleep_for(Millis(1));
    seen_gone = request.client->gone();
    co_return Response::text(200, "text/plain", "released");
  }

  static Response closing() {
    Response response = Response::text(200, "text/plain", "bye");
    response.close = true;
    return response;
  }

  static Response bad_fields() {
    Response response = Response::text(200, "text/plain", "ok");
    response.headers.add("x-good", "1");
    response.headers.add("x-bad", "a\r\nset-cookie: stolen=1");
    response.headers.add("bad name", "2");
    response.headers.add("Content-Length", "999");
    response.headers.add("Connection", "upgrade");
    return response;
  }
};

struct Answer {
  int status = 0;  // 0: the connection ended before a whole answer
  std::map<std::string, std::string> fields;
  std::string head;
  std::string body;
  bool whole = false;

  bool says_close() const { return fields.contains("connection") && fields.at("connection") == "close"; }
};

// A blocking client. Reads give up after 20 s.
class RawClient {
 public:
  explicit RawClient(const std::string& address) {
    if (address.starts_with("unix:")) {
      sockaddr_un name{};
      name.sun_family = AF_UNIX;
      address.substr(5).copy(name.sun_path, sizeof name.sun_path - 1);
      connect(AF_UNIX, reinterpret_cast<const sockaddr*>(&name), sizeof name);
    } else {
      sockaddr_in name{};
      name.sin_family = AF_INET;
      name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      name.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
      connect(AF_INET, reinterpret_cast<const sockaddr*>(&name), sizeof name);
    }
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  void finish_sending() { ::shutdown(socket_, SHUT_WR); }
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  int handle() const { return socket_; }

  Answer read_answer(std::string_view method = "GET") {
    Answer answer;
    const std::size_t end = read_until("\r\n\r\n");
    if (end == std::string::npos) return answer;
    answer.head = buffer_.substr(0, end);
    buffer_.erase(0, end);
    parse_head(answer);
    const auto& fields = answer.fields;
    if (method == "HEAD" || answer.status < 200 || answer.status == 204 || answer.status == 304) {
      answer.whole = true;
    } else if (fields.contains("transfer-encoding")) {
      read_chunks(answer);
    } else if (fields.contains("content-length")) {
      const std::size_t size = std::stoul(fields.at("content-length"));
      while (buffer_.size() < size && more()) {
      }
      answer.whole = buffer_.size() >= size;
      answer.body = buffer_.substr(0, size);
      buffer_.erase(0, size);
    } else {
      while (more()) {
      }
      answer.whole = !reset_;
      answer.body = std::exchange(buffer_, {});
    }
    return answer;
  }

  // True when the server closes and nothing more comes.
  bool sees_close() {
    while (more()) {
    }
    return buffer_.empty() && ended_;
  }

  // The connection was reset rather than ended.
  bool was_reset() const { return reset_; }

 private:
  void connect(int family, const sockaddr* name, socklen_t size) {
    socket_ = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    EXPECT_EQ(::connect(socket_, name, size), 0) << std::strerror(errno);
  }

  bool more() {
    char piece[65536];
    const ssize_t count = ::recv(socket_, piece, sizeof piece, 0);
    if (count > 0) buffer_.append(piece, static_cast<std::size_t>(count));
    ended_ = ended_ || count == 0 || (count < 0 && errno == ECONNRESET);
    reset_ = reset_ || (count < 0 && errno == ECONNRESET);
    return count > 0;
  }

  std::size_t read_until(std::string_view mark) {
    std::size_t at = 0;
    while ((at = buffer_.find(mark)) == std::string::npos) {
      if (!more()) return std::string::npos;
    }
    return at + mark.size();
  }

  static void parse_head(Answer& answer) {
    std::string_view head = answer.head;
    EXPECT_TRUE(head.starts_with("HTTP/1.1 ")) << head;
    answer.status = std::stoi(std::string(head.substr(9, 3)));
    head.remove_prefix(head.find("\r\n") + 2);
    while (head != "\r\n") {
      const std::string_view line = head.substr(0, head.find("\r\n"));
      const std::size_t colon = line.find(": ");
      ASSERT_NE(colon, std::string_view::npos) << line;
      std::string name(line.substr(0, colon));
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      EXPECT_TRUE(answer.fields.emplace(name, line.substr(colon + 2)).second) << "twice: " << name;
      head.remove_prefix(line.size() + 2);
    }
  }

  void read_chunks(Answer& answer) {
    while (true) {
      const std::size_t end = read_until("\r\n");
      if (end == std::string::npos) return;
      const std::size_t size = std::stoul(buffer_.substr(0, end - 2), nullptr, 16);
      buffer_.erase(0, end);
      while (buffer_.size() < size + 2) {
        if (!more()) return;
      }
      EXPECT_EQ(buffer_.substr(size, 2), "\r\n");
      answer.body += buffer_.substr(0, size);
      buffer_.erase(0, size + 2);
      if (size == 0) break;
    }
    answer.whole = true;
  }

  int socket_ = -1;
  std::string buffer_;
  bool ended_ = false;
  bool reset_ = false;
};

class HttpServerTest : public testing::Test {
 protected:
  ~HttpServerTest() override { cores_.stop(); }

  void start() {
    auto server = listen_http(cores_, service_, options_, registry_);
    ASSERT_TRUE(server.has_value()) << server.error().to_log_string();
    server_ = std::move(*server);
    cores_.start();
  }
  std::string address() const { return server_->address(); }
  // Runs `drain` on a core; true when it has returned within 20 s.
  bool drain(Millis grace) {
    std::atomic<bool> done{false};
    cores_.spawn(0, [&]() -> Task<> {
      co_await server_->drain(grace);
      done = true;
    });
    return eventually([&] { return done.load(); });
  }
  // The value of a metric's sample, e.g. `x_total{class="2xx"}`.
  double sample(std::string_view name) const {
    const std::string text = registry_.render();
    const std::size_t at = text.find("\n" + std::string(name) + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  PathService service_;
  metrics::Registry registry_;
  HttpServerOptions options_;
  Cores cores_{2};
  std::unique_ptr<HttpServer> server_;
};

}  // namespace bulkhead::net::test
