#include "platform/net/chunk_decoder.h"

#include <algorithm>
#include <cstring>

#include "platform/net/field_syntax.h"

namespace bulkhead::net {
namespace {

// Senders that hide data or burn our time in extensions and trailers are cut off.
constexpr std::size_t kOverheadLimit = 4096;
constexpr std::size_t kMostDigits = 16;  // a 64-bit size

std::unexpected<Error> refuse(std::string_view why) { return fail(ErrorCode::kBadRequest, std::string(why)); }

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<ChunkDecoder::Progress> ChunkDecoder::decode(std::string_view input, std::span<char> into) {
  Progress progress;
  while (progress.consumed < input.size() && !done()) {
    if (state_ != State::kData) {
      BH_TRY_VOID(take(input[progress.consumed]));
      ++progress.consumed;
      continue;
    }
    const std::size_t room = into.size() - progress.produced;
    const std::size_t count = std::min<std::uint64_t>({chunk_, input.size() - progress.consumed, room});
    if (count == 0) break;
    std::memcpy(into.data() + progress.produced, input.data() + progress.consumed, count);
    progress.consumed += count;
    progress.produced += count;
    chunk_ -= count;
    if (chunk_ == 0) state_ = State::kDataCr;
  }
  return progress;
}

Status ChunkDecoder::take_size(char c) {
  if (const int value = hex_value(c); value >= 0) {
    if (++digits_ > kMostDigits) return refuse("A chunk's size is too long.");
    chunk_ = chunk_ * 16 + static_cast<std::uint64_t>(value);
    return {};
  }
  if (digits_ == 0 || (c != '\r' && c != ';')) return refuse("A chunk's size is not a hexadecimal number.");
  if (chunk_ > left_) return fail(ErrorCode::kPayloadTooLarge);
  left_ -= chunk_;
  state_ = c == ';' ? State::kExtension : State::kSizeEnd;
  return {};
}

Status ChunkDecoder::take(char c) {
  const auto expect = [&](char wanted, State next) -> Status {
    if (c != wanted) return refuse("A line of the chunked body does not end with CR LF.");
    state_ = next;
    return {};
  };
  const auto count_overhead = [&]() -> Status {
    if (++overhead_ > kOverheadLimit) return refuse("The chunk extensions or trailers are too long.");
    return {};
  };
  switch (state_) {
    case State::kSize:
      return take_size(c);
    case State::kSizeEnd:
      digits_ = 0;
      return expect('\n', chunk_ > 0 ? State::kData : State::kLineStart);
    case State::kDataCr:
      return expect('\r', State::kDataLf);
    case State::kDataLf:
      return expect('\n', State::kSize);
    case State::kTrailerEnd:
      return expect('\n', State::kLineStart);
    case State::kLastLf:
      return expect('\n', State::kDone);
    case State::kExtension:
    case State::kTrailerValue:
      if (c == '\r') {
        state_ = state_ == State::kExtension ? State::kSizeEnd : State::kTrailerEnd;
        return {};
      }
      if (is_forbidden_control(c)) return refuse("A control character stands in a chunk extension or trailer.");
      return count_overhead();
    case State::kLineStart:
      if (c == '\r') return expect('\r', State::kLastLf);
      if (!is_token_character(c)) return refuse("A trailer field has no name.");
      state_ = State::kTrailerName;
      return count_overhead();
    case State::kTrailerName:
      if (c == ':') {
        state_ = State::kTrailerValue;
      } else if (!is_token_character(c)) {
        return refuse("A trailer field's name is malformed.");
      }
      return count_overhead();
    case State::kData:
    case State::kDone:
      break;
  }
  BH_ASSERT(false);
  return {};
}

}  // namespace bulkhead::net
