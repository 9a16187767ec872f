// Decodes a chunked body (RFC 9112 §7.1) byte by byte, strictly: sizes of 1 to 16 hex digits directly followed by CR LF
// or an extension, every line end CR LF, no control characters in extensions, trailer lines that are fields. Extensions
// and trailers are dropped; how much of them a body may have is bounded. Nothing needs to fit in a buffer. A value;
// used by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace bulkhead::net {

class ChunkDecoder {
 public:
  ChunkDecoder() = default;
  // `limit` counts the content.
  explicit ChunkDecoder(Bytes limit) : left_(limit.value) {}

  struct Progress {
    std::size_t consumed = 0;  // of the input
    std::size_t produced = 0;  // of `into`
  };
  // Decodes until the input, the room in `into` or the body ends. kBadRequest; kPayloadTooLarge as soon as a chunk's
  // size would pass the limit. After an error the decoder must not be used again.
  Result<Progress> decode(std::string_view input, std::span<char> into);
  // The last chunk and the trailer section are read.
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State : std::uint8_t {
    kSize,
    kExtension,
    kSizeEnd,  // the LF after a size line
    kData,
    kDataCr,
    kDataLf,
    kLineStart,  // of a trailer field or the final empty line
    kTrailerName,
    kTrailerValue,
    kTrailerEnd,
    kLastLf,
    kDone,
  };
  // Takes one byte that is not data.
  Status take(char c);
  Status take_size(char c);

  State state_ = State::kSize;
  std::uint64_t left_ = 0;   // of the limit
  std::uint64_t chunk_ = 0;  // the size being read, then what is left of the chunk
  std::size_t digits_ = 0;
  std::size_t overhead_ = 0;  // bytes of extensions and trailers
};

}  // namespace bulkhead::net
