// ZstdStream: the one zstd frame of a bundle as a stream of unpacked bytes, hashed and bounded as it flows.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "features/bundles/bundle_reader.h"

struct ZSTD_DCtx_s;

namespace bulkhead::bundles {

class ZstdStream {
 public:
  ZstdStream(ByteSource& source, const ArchiveLimits& limits);
  // The next unpacked bytes, valid until the next call; empty after the frame's end. kBundleInvalid: not zstd, more
  // than one frame, damaged or cut short. kBundleTooLarge: over the limits.
  Result<std::string_view> next();

  std::uint64_t unpacked() const { return unpacked_; }
  // Where the last byte that is not zero ended.
  std::uint64_t last_content_end() const { return last_content_end_; }
  // Of all packed bytes. After `next` gave the end.
  ContentHash finish_hash() { return ContentHash::from_bytes(hash_.finish()); }
  Bytes packed() const { return Bytes{packed_}; }

 private:
  Status fill();
  Status check_end();

  struct FreeContext {
    void operator()(ZSTD_DCtx_s* context) const;
  };
  ByteSource& source_;
  std::uint64_t unpacked_limit_;
  std::unique_ptr<ZSTD_DCtx_s, FreeContext> context_;
  std::vector<char> input_;
  std::vector<char> output_;
  std::size_t input_at_ = 0;
  std::size_t input_end_ = 0;
  std::uint64_t packed_ = 0;
  std::uint64_t unpacked_ = 0;
  std::uint64_t last_content_end_ = 0;
  bool ended_ = false;
  bool started_ = false;
  Sha256 hash_;
};

}  // namespace bulkhead::bundles
