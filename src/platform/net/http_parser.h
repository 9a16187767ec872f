// The edge's parser of HTTP/1 request heads: bytes in, RequestHead out. No I/O, no clock. Chunked bodies:
// chunk_decoder.h.
//
// Framing is strict, because a proxy in front may read a lenient form differently (request smuggling, RFC 9112 §11.2).
// Refused with kBadRequest: bare CR or LF, obs-fold, white space before a colon, control characters, Content-Length
// together with Transfer-Encoding, more than one Content-Length (even equal), a Transfer-Encoding other than exactly
// "chunked" or on HTTP/1.0, a missing, repeated or malformed Host. After an error the connection must close: where the
// next request begins is unknown.
//
// Line framing is our own, as Beast accepts some of these forms; tokens, field names and values are Beast's
// basic_parser (in the .cpp only). One per connection; used by one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "platform/net/http.h"

namespace bulkhead::net {

// What the head says about the message's framing.
struct HeadFacts {
  bool http11 = false;
  bool keep_alive = false;
  bool expects_continue = false;
  bool chunked = false;
  std::uint64_t content_length = 0;  // 0 when absent or chunked

  bool has_body() const { return chunked || content_length > 0; }
};

class RequestParser {
 public:
  struct Limits {
    Bytes head = 16_KiB;   // request line and fields, with their line ends: kHeadersTooLarge
    Bytes target = 8_KiB;  // kUriTooLong
  };
  explicit RequestParser(Limits limits) : limits_(limits) {}

  // Looks for a whole head at the front of `input`, which begins where the last message ended and holds all bytes that
  // came since (the parser remembers how far it has looked). The head's size when there is one (`head` and `facts()`
  // are set then), nullopt when bytes are missing.
  Result<std::optional<std::size_t>> parse_head(std::string_view input, RequestHead& head);
  const HeadFacts& facts() const { return facts_; }

 private:
  // Finds line ends and checks what needs no more than lines.
  Result<std::optional<std::size_t>> scan(std::string_view input);
  Status check_request_line(std::string_view so_far) const;
  void restart();

  Limits limits_;
  HeadFacts facts_;
  std::size_t scanned_ = 0;  // bytes looked at for line ends
  std::size_t line_start_ = 0;
  std::size_t head_start_ = 0;  // after an empty line before the request line
  std::size_t lines_ = 0;
};

}  // namespace bulkhead::net
