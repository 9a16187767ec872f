// Little-endian binary encoding of integers and length-prefixed strings: ByteWriter appends to a string, ByteReader
// reads bytes that may be hostile. A read past the end (or a string longer than what is left) makes the reader fail
// once and for all: every later read gives zero/empty, and `ok()` says so at the end.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace bulkhead {

class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}
  template <std::integral T>
  void number(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out_.append(bytes, sizeof(T));
  }
  void raw(std::string_view bytes) { out_.append(bytes); }
  // u32 length + bytes.
  void text(std::string_view bytes) {
    number(static_cast<std::uint32_t>(bytes.size()));
    out_.append(bytes);
  }

 private:
  std::string& out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}
  template <std::integral T>
  T number() {
    const std::string_view bytes = raw(sizeof(T));
    T value{};
    if (bytes.size() == sizeof(T)) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
  std::string_view raw(std::size_t size) {
    if (failed_ || size > rest_.size()) {
      failed_ = true;
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  std::string_view text() { return raw(number<std::uint32_t>()); }
  std::size_t left() const { return failed_ ? 0 : rest_.size(); }
  bool ok() const { return !failed_; }
  bool ok_and_done() const { return !failed_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace bulkhead
