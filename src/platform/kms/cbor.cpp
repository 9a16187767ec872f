#include "platform/kms/cbor.h"

#include <cstddef>

namespace bulkhead::kms {
namespace {

constexpr std::uint8_t kUnsigned = 0;
constexpr std::uint8_t kText = 3;
constexpr std::uint8_t kArray = 4;

// RFC 8949 §3: the major type in the upper three bits, then the shortest argument.
void append_head(std::string& out, std::uint8_t major, std::uint64_t argument) {
  const auto first = [&](std::uint8_t low) { out.push_back(static_cast<char>((major << 5U) | low)); };
  std::size_t bytes = 0;
  if (argument < 24) {
    first(static_cast<std::uint8_t>(argument));
  } else if (argument <= UINT8_MAX) {
    first(24);
    bytes = 1;
  } else if (argument <= UINT16_MAX) {
    first(25);
    bytes = 2;
  } else if (argument <= UINT32_MAX) {
    first(26);
    bytes = 4;
  } else {
    first(27);
    bytes = 8;
  }
  for (std::size_t left = bytes; left > 0; --left) out.push_back(static_cast<char>(argument >> (8 * (left - 1))));
}

}  // namespace

void append_cbor_array(std::string& out, std::uint64_t items) { append_head(out, kArray, items); }

void append_cbor_unsigned(std::string& out, std::uint64_t value) { append_head(out, kUnsigned, value); }

void append_cbor_text(std::string& out, std::string_view utf8) {
  append_head(out, kText, utf8.size());
  out.append(utf8);
}

}  // namespace bulkhead::kms
