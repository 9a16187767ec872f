// Owns bytes that native/ gave out. Inside the sandbox room only.
#pragma once

#include <bulkhead_native.h>

#include <string>
#include <string_view>

namespace bulkhead::sandbox {

class NativeBuffer {
 public:
  NativeBuffer() = default;
  explicit NativeBuffer(bh_buffer buffer) : buffer_(buffer) {}
  ~NativeBuffer() { bh_buffer_free(buffer_); }
  NativeBuffer(const NativeBuffer&) = delete;
  NativeBuffer& operator=(const NativeBuffer&) = delete;

  // For out-parameters; once.
  bh_buffer* out() { return &buffer_; }
  std::string_view view() const { return {reinterpret_cast<const char*>(buffer_.data), buffer_.size}; }
  std::string text() const { return std::string(view()); }

 private:
  bh_buffer buffer_{};
};

inline const std::uint8_t* native_bytes(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

}  // namespace bulkhead::sandbox
