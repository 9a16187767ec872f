#include "features/access/request_identity.h"

#include <algorithm>
#include <array>

#include "base/ids.h"

namespace bulkhead::access {
namespace {

constexpr std::size_t kTraceParentSize = 55;  // 00-<32>-<16>-<2>

bool is_lower_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool all_zero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

bool is_valid_trace_parent(std::string_view text) {
  if (text.size() < kTraceParentSize || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  const std::string_view version = text.substr(0, 2);
  if (!is_lower_hex(version) || version == "ff") return false;
  if (version == "00" ? text.size() != kTraceParentSize : text.size() > kTraceParentSize && text[55] != '-')
    return false;
  const std::string_view trace = text.substr(3, 32), parent = text.substr(36, 16);
  return is_lower_hex(trace) && is_lower_hex(parent) && is_lower_hex(text.substr(53, 2)) && !all_zero(trace) &&
         !all_zero(parent);
}

void write_hex(char* to, std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const std::uint8_t byte : bytes) {
    *to++ = kDigits[byte >> 4];
    *to++ = kDigits[byte & 15];
  }
}

}  // namespace

bool is_valid_request_id(std::string_view text) {
  if (text.empty() || text.size() > 128) return false;
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._:/+=@-").find(c) != std::string_view::npos;
  });
}

std::string choose_request_id(const net::Headers& headers, UtcMicros now, Random& random) {
  if (const auto sent = headers.find("x-request-id"); sent && is_valid_request_id(*sent)) return std::string(*sent);
  return Uuid::v7(now, random).to_string();
}

std::string child_trace_parent(const net::Headers& headers, Random& random) {
  std::array<std::uint8_t, 24> bytes{};
  random.fill(bytes);
  bytes[0] |= 1;  // neither id may be all zeros
  bytes[16] |= 1;
  std::string text = "00-00000000000000000000000000000000-0000000000000000-00";
  const auto sent = headers.find("traceparent");
  if (sent && is_valid_trace_parent(*sent)) {
    std::ranges::copy(sent->substr(3, 32), text.begin() + 3);
    std::ranges::copy(sent->substr(53, 2), text.begin() + 53);
  } else {
    write_hex(text.data() + 3, std::span(bytes).first(16));
  }
  write_hex(text.data() + 36, std::span(bytes).subspan(16));
  return text;
}

std::string_view trace_id_of(std::string_view trace_parent) { return trace_parent.substr(3, 32); }

}  // namespace bulkhead::access
