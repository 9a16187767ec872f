#include "features/bundles/zstd_stream.h"

#include <zstd.h>

#include <algorithm>

namespace bulkhead::bundles {
namespace {

constexpr std::size_t kChunk = std::size_t{128} * 1024;
constexpr std::string_view kFrameMagic("\x28\xB5\x2F\xFD", 4);  // RFC 8878 §3.1.1; skippable frames have another one
constexpr int kMaxWindowLog = 23;  // 8 MiB, what levels up to 19 use: a frame can't make us reserve more
// Tar headers, padding and end marks come on top of the files' contents.
constexpr std::uint64_t kTarOverhead = std::uint64_t{32} * 1024 * 1024;

}  // namespace

void ZstdStream::FreeContext::operator()(ZSTD_DCtx_s* context) const { ZSTD_freeDCtx(context); }

ZstdStream::ZstdStream(ByteSource& source, const ArchiveLimits& limits)
    : source_(source),
      unpacked_limit_(std::min(limits.unpacked.value + kTarOverhead, source.size().value * limits.ratio)),
      context_(ZSTD_createDCtx()),
      input_(kChunk),
      output_(kChunk) {
  BH_ASSERT(context_ != nullptr);
  BH_ASSERT(!ZSTD_isError(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxWindowLog)));
}

Status ZstdStream::fill() {
  BH_TRY(input_end_, source_.read(input_));
  input_at_ = 0;
  hash_.update({input_.data(), input_end_});
  packed_ += input_end_;
  return {};
}

Status ZstdStream::check_end() {
  if (input_at_ == input_end_) BH_TRY_VOID(fill());
  if (input_at_ != input_end_) {
    return fail(ErrorCode::kBundleInvalid, "The bundle has data behind its end.");
  }
  return {};
}

Result<std::string_view> ZstdStream::next() {
  if (ended_) return std::string_view();
  ZSTD_outBuffer out{output_.data(), output_.size(), 0};
  while (out.pos < out.size) {
    if (input_at_ == input_end_) {
      BH_TRY_VOID(fill());
      if (input_at_ == input_end_) return fail(ErrorCode::kBundleInvalid, "The bundle is cut short.");
      if (!started_ && !std::string_view(input_.data(), input_end_).starts_with(kFrameMagic)) {
        return fail(ErrorCode::kBundleInvalid, "The bundle is not a zstd file.");
      }
      started_ = true;
    }
    ZSTD_inBuffer in{input_.data(), input_end_, input_at_};
    const std::size_t outcome = ZSTD_decompressStream(context_.get(), &out, &in);
    input_at_ = in.pos;
    if (ZSTD_isError(outcome)) {
      return fail(ErrorCode::kBundleInvalid, "The bundle's compressed data is damaged.", ZSTD_getErrorName(outcome));
    }
    if (outcome == 0) {
      ended_ = true;
      BH_TRY_VOID(check_end());
      break;
    }
  }
  const std::string_view piece(output_.data(), out.pos);
  if (const std::size_t last = piece.find_last_not_of('\0'); last != piece.npos) {
    last_content_end_ = unpacked_ + last + 1;
  }
  unpacked_ += piece.size();
  if (unpacked_ > unpacked_limit_) {
    return fail(ErrorCode::kBundleTooLarge,
                "The bundle unpacks to more than is allowed (256 MiB, or 200 times its size).");
  }
  return piece;
}

}  // namespace bulkhead::bundles
