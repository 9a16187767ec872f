#include "base/utf8.h"

#include <algorithm>
#include <cstdint>

namespace bulkhead {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Length of the well-formed character at the front, or 0. RFC 3629 §4.
std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const auto continues = [&](std::size_t i, std::uint8_t least = 0x80, std::uint8_t most = 0xBF) {
    return i < text.size() && byte(i) >= least && byte(i) <= most;
  };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const std::uint8_t least = lead == 0xE0 ? 0xA0 : 0x80;
    const std::uint8_t most = lead == 0xED ? 0x9F : 0xBF;
    return continues(1, least, most) && continues(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const std::uint8_t least = lead == 0xF0 ? 0x90 : 0x80;
    const std::uint8_t most = lead == 0xF4 ? 0x8F : 0xBF;
    return continues(1, least, most) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string clean_utf8(std::string_view text, std::size_t most) {
  // Nearly all that is cleaned is short ASCII.
  const auto is_plain = [](char c) { return c > 0; };
  if (text.size() <= most && std::ranges::all_of(text, is_plain)) return std::string(text);
  std::string out;
  out.reserve(std::min(text.size(), most));
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    const bool keep = length > 0 && text.front() != '\0';
    const std::string_view piece = keep ? text.substr(0, length) : kReplacement;
    if (out.size() + piece.size() > most) break;
    out += piece;
    text.remove_prefix(keep ? length : 1);
  }
  return out;
}

}  // namespace bulkhead
