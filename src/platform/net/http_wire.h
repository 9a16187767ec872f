// Writes the head of an answer (RFC 9112 §4) and the date it carries. Plain functions; any thread, a DateCache only
// one.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "platform/net/http.h"

namespace bulkhead::net {

// "Sun, 22 Nov 2026 13:00:45 GMT" (RFC 9110 §5.6.7), made once a second.
class DateCache {
 public:
  std::string_view now();
  static std::string format(std::time_t seconds);

 private:
  std::time_t second_ = -1;
  std::string text_;
};

// How the body's end is marked.
enum class BodyFraming : std::uint8_t {
  kNone,     // 1xx, 204: no body and no length
  kLength,   // content-length as given to append_head
  kChunked,  // transfer-encoding: chunked
  kClose,    // until the connection closes (HTTP/1.0 clients of a stream)
};

struct AnswerHead {
  const Response& response;
  BodyFraming framing = BodyFraming::kLength;
  std::uint64_t length = 0;
  bool http11 = true;      // the client's version
  bool keep_alive = true;  // whether the connection stays open
  std::string_view date;
};

// Appends status line and fields up to the empty line. The response's own content-length, transfer-encoding,
// connection, keep-alive and date fields are left out: they belong to the server. A field that would break the framing
// (CR, LF, NUL in it, no token as its name) is left out, too. Returns the number of those bad fields.
std::size_t append_head(std::string& out, const AnswerHead& answer);

}  // namespace bulkhead::net
