#include "platform/observe/log_line.h"

#include <charconv>
#include <cmath>

namespace bulkhead::log {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

std::string_view level_name(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      return "error";
  }
  return "error";
}

// Length of the well-formed UTF-8 sequence at the front of `text` (Unicode 15, table 3-7); 0 when there is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i, unsigned least = 0x80, unsigned most = 0xBF) {
    return i < text.size() && byte(i) >= least && byte(i) <= most;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned least = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned most = lead == 0xED ? 0x9F : 0xBF;  // no surrogates
    return continues(1, least, most) && continues(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned least = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned most = lead == 0xF4 ? 0x8F : 0xBF;  // up to U+10FFFF
    return continues(1, least, most) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

void append_escape(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default: {
      constexpr std::string_view digits = "0123456789abcdef";
      const auto value = static_cast<unsigned char>(c);
      out += "\\u00";
      out += digits[value >> 4];
      out += digits[value & 15];
    }
  }
}

bool is_plain(char c) {
  const auto value = static_cast<unsigned char>(c);
  return value >= 0x20 && value < 0x7F && c != '"' && c != '\\';
}

template <typename Number>
void append_number(std::string& out, Number value) {
  char text[32];
  const auto [end, failure] = std::to_chars(text, text + sizeof text, value);
  out.append(text, failure == std::errc{} ? end : text);
}

void append_value(std::string& out, const Field& field) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    append_json_string(out, *text);
  } else if (const auto* integer = std::get_if<std::int64_t>(&field.value)) {
    append_number(out, *integer);
  } else if (const auto* real = std::get_if<double>(&field.value)) {
    if (std::isfinite(*real)) {
      append_number(out, *real);
    } else {
      out += "null";
    }
  } else {
    out += std::get<bool>(field.value) ? "true" : "false";
  }
}

void append_member(std::string& out, const Field& field) {
  out += ',';
  append_json_string(out, field.name);
  out += ':';
  append_value(out, field);
}

void append_problem(std::string& out, const Error& problem) {
  append_member(out, {"error_code", problem.wire_code()});
  append_member(out, {"error_message",
                      problem.message.empty() ? error_info(problem.code).title : std::string_view(problem.message)});
  if (!problem.detail.empty()) append_member(out, {"error_detail", problem.detail});
  if (!problem.cause) return;
  out += ",\"error_causes\":[";
  for (const Error* cause = problem.cause.get(); cause != nullptr; cause = cause->cause.get()) {
    if (cause != problem.cause.get()) out += ',';
    Error alone = *cause;
    alone.cause = nullptr;
    append_json_string(out, alone.to_log_string());
  }
  out += ']';
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    std::size_t plain = 0;
    while (plain < text.size() && is_plain(text[plain])) ++plain;
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const std::size_t length = sequence_length(text);
    if (length == 0) {
      out += kReplacement;
    } else if (length > 1) {
      out += text.substr(0, length);
    } else {
      append_escape(out, text.front());
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  out += '"';
}

std::string log_line(UtcMicros now, Level level, std::string_view event, std::span<const Field> fields,
                     const Error* problem) {
  std::string out;
  out.reserve(160);
  out += "{\"ts\":\"";
  out += to_rfc3339(now);
  out += "\",\"level\":\"";
  out += level_name(level);
  out += "\",\"event\":";
  append_json_string(out, event);
  for (const Field& field : fields) append_member(out, field);
  if (problem != nullptr) append_problem(out, *problem);
  out += "}\n";
  return out;
}

}  // namespace bulkhead::log
