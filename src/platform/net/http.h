// HTTP/1.1 messages as the server and its services see them. No Beast type leaves platform/net's .cpp files.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/json.h"
#include "base/time.h"
#include "platform/async/task.h"

namespace bulkhead::net {

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };
std::string_view to_string(Method method);
Method parse_method(std::string_view text);
// GET, HEAD, OPTIONS (RFC 9110 §9.2.1).
bool is_safe(Method method);

// Header fields in order. Names compare case-insensitively. All text lives in one buffer: no allocation per field.
class Headers {
 public:
  struct Entry {
    std::string_view name;
    std::string_view value;
  };
  // The first field of that name.
  std::optional<std::string_view> find(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  void add(std::string_view name, std::string_view value);
  void set(std::string_view name, std::string_view value);  // replaces all of that name
  void remove(std::string_view name);
  void clear();
  std::size_t size() const { return slots_.size(); }
  Entry at(std::size_t index) const;

 private:
  struct Slot {
    std::uint32_t name_at, name_size, value_at, value_size;
  };
  std::string text_;
  std::vector<Slot> slots_;
};

struct RequestHead {
  Method method = Method::kOther;
  std::string method_text;  // as sent
  // Origin form as sent, "/a/b?c=d", or "*" (OPTIONS). The absolute form ("GET http://host/a") is turned into it, and
  // the `host` field then is the target's (RFC 9112 §3.2.2).
  std::string target;
  Headers headers;
  boost::asio::ip::address peer;  // the socket's peer
  std::uint16_t peer_port = 0;
  bool peer_is_local_socket = false;  // Unix socket
  SteadyTime received_at{};

  std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  std::string_view query() const {
    const auto at = target.find('?');
    return at == std::string::npos ? std::string_view() : std::string_view(target).substr(at + 1);
  }
};

// Reads a request's body piece by piece; used by routes that stream (uploads).
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // Bytes read; 0 at the end. kPayloadTooLarge over the plan's limit, kRequestTimeout, kCancelled (client left).
  virtual Task<Result<std::size_t>> read(std::span<char> into) = 0;
};

// What a handler can learn about its client while it works on a long request.
class ClientLink {
 public:
  virtual ~ClientLink() = default;
  // The client has closed (or half-closed) or reset the connection. One poll(2); nothing is read.
  virtual bool gone() const = 0;
  // Calls `then` at most once, on the connection's core, within about 350 ms after the client has left; never after
  // the answer is complete. Replaces an earlier call. Costs nothing unless it is used.
  virtual void when_gone(std::move_only_function<void()> then) = 0;
};

struct Request : RequestHead {
  std::string body;              // whole, when the plan was buffered
  BodyReader* stream = nullptr;  // when the plan was streamed
  ClientLink* client = nullptr;  // null where there is no connection (tests)
};

// Writes a response body piece by piece (chunked); used for live tails and downloads.
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  // Sends the piece at once. kCancelled once the client has left or does not read within the write time-out.
  virtual Task<Status> write(std::string_view piece) = 0;
  // The rest can't be delivered (the source broke): the connection closes without the end mark, so that the client sees
  // a cut answer and not a short one.
  virtual void abort() {}
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
  // When set, the body is what this writes and `body` is ignored: transfer-encoding: chunked, or, when `headers` has a
  // content-length, exactly that many bytes. Not called for HEAD, 204 and 304.
  std::move_only_function<Task<>(ResponseWriter&)> stream;
  bool close = false;  // close the connection after this answer

  static Response json(int status, const json::value& value);
  static Response text(int status, std::string_view content_type, std::string text);
  static Response empty(int status);
};

// RFC 9457 application/problem+json (contracts/access.md, Errors), with `www-authenticate` on 401 and `retry-after`
// where the error names a time and on every 429 and 503. `detail` is the error's message; its `detail` and causes stay
// inside.
Response problem(const Error& error, std::string_view request_id);

// --- targets -----------------------------------------------------------------------------------------------------
// Percent-decodes; nullopt on a bad escape or a NUL.
std::optional<std::string> percent_decode(std::string_view text);
std::string percent_encode(std::string_view text);  // everything but RFC 3986 unreserved
struct QueryParameter {
  std::string name;
  std::string value;
};
// application/x-www-form-urlencoded rules ('+' is a space). nullopt on a bad escape.
std::optional<std::vector<QueryParameter>> parse_query(std::string_view query);
std::optional<std::string> query_value(const std::vector<QueryParameter>& query, std::string_view name);

}  // namespace bulkhead::net
