// Byte strings and their text forms (hex, base64, base64url without padding), and the size type Bytes.
// Decoders are strict: other alphabets, bad padding, odd lengths and trailing bits are refused (nullopt).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace bulkhead {

// A size in bytes. Explicit, so that a count or a time can't be passed for it.
struct Bytes {
  std::uint64_t value = 0;
  constexpr auto operator<=>(const Bytes&) const = default;
};
constexpr Bytes operator""_B(unsigned long long n) { return Bytes{n}; }
constexpr Bytes operator""_KiB(unsigned long long n) { return Bytes{n * 1024}; }
constexpr Bytes operator""_MiB(unsigned long long n) { return Bytes{n * 1024 * 1024}; }
constexpr Bytes operator""_GiB(unsigned long long n) { return Bytes{n * 1024 * 1024 * 1024}; }
// "10 MiB", "512 B": for messages.
std::string to_string(Bytes size);

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string hex_encode(std::string_view bytes);
std::optional<std::string> hex_decode(std::string_view text);
std::string base64_encode(std::string_view bytes);  // RFC 4648 §4, padded
std::optional<std::string> base64_decode(std::string_view text);
std::string base64url_encode(std::string_view bytes);  // RFC 4648 §5, no padding
std::optional<std::string> base64url_decode(std::string_view text);
// Appends the padded base64 of `bytes` to `out` without a temporary.
void base64_append(std::string& out, std::string_view bytes);

// Compares without revealing where the two differ. Lengths are not secret.
bool equal_in_constant_time(std::string_view a, std::string_view b);
// Overwrites with zeros in a way the compiler can't remove.
void wipe(std::string& secret);

}  // namespace bulkhead
