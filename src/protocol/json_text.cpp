#include "protocol/json_text.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <utility>

namespace bulkhead::protocol {
namespace {

constexpr char kHex[] = "0123456789abcdef";

// Length of the well-formed UTF-8 sequence (RFC 3629) that starts at `at`, 0 when there is none.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(at);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(at + 1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = first == 0xed ? 0x9f : 0xbf;  // no surrogates
    return continues(at + 1, low, high) && continues(at + 2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80;
    const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
    return continues(at + 1, low, high) && continues(at + 2) && continues(at + 3) ? 4 : 0;
  }
  return 0;
}

// The first byte at or after `at` that is a quote, a backslash, a control character or not ASCII. Eight at a time: the
// body of a call is a string of up to 14 MB.
std::size_t find_special(std::string_view text, std::size_t at) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHighs = 0x8080808080808080;
  while (at + 8 <= text.size()) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    const std::uint64_t quote = word ^ (kOnes * '"');
    const std::uint64_t slash = word ^ (kOnes * '\\');
    const std::uint64_t found =
        (((quote - kOnes) & ~quote) | ((slash - kOnes) & ~slash) | ((word - kOnes * 0x20) & ~word) | word) & kHighs;
    // The lowest marked byte is exact (borrows only travel upwards).
    if (found != 0) return at + static_cast<std::size_t>(std::countr_zero(found)) / 8;
    at += 8;
  }
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x80) break;
    ++at;
  }
  return at;
}

void append_utf8(std::string& out, std::uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  }
}

std::optional<std::uint32_t> hex4(std::string_view text, std::size_t at) {
  if (at + 4 > text.size()) return std::nullopt;
  std::uint32_t value = 0;
  const auto [end, failure] = std::from_chars(text.data() + at, text.data() + at + 4, value, 16);
  if (failure != std::errc() || end != text.data() + at + 4) return std::nullopt;
  return value;
}

char simple_escape(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return 0;
  }
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t at = 0;
  while (true) {
    const std::size_t stop = find_special(text, at);
    out.append(text, at, stop - at);
    if (stop == text.size()) break;
    at = stop;
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= 0x80) {
      const std::size_t length = utf8_length(text, at);
      if (length == 0) {
        out += "\xef\xbf\xbd";
        ++at;
      } else {
        out.append(text, at, length);
        at += length;
      }
      continue;
    }
    out += '\\';
    switch (byte) {
      case '"':
      case '\\':
        out += static_cast<char>(byte);
        break;
      case '\n':
        out += 'n';
        break;
      case '\r':
        out += 'r';
        break;
      case '\t':
        out += 't';
        break;
      default:
        out += "u00";
        out += kHex[byte >> 4];
        out += kHex[byte & 15];
    }
    ++at;
  }
  out += '"';
}

void append_number(std::string& out, std::uint64_t number) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof(digits), number).ptr);
}

void append_number(std::string& out, std::int64_t number) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof(digits), number).ptr);
}

bool JsonCursor::fail() {
  failed_ = true;
  return false;
}

void JsonCursor::skip_space() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
    ++at_;
  }
}

// Whether that comes next, right here; then it is behind us.
bool JsonCursor::accept(char wanted) {
  if (at_ >= text_.size() || text_[at_] != wanted) return false;
  ++at_;
  return true;
}

bool JsonCursor::consume(char expected) {
  if (failed_) return false;
  skip_space();
  return accept(expected) || fail();
}

bool JsonCursor::open(Kind kind) {
  if (peek() != kind) return false;
  ++at_;
  first_ = true;
  if (++depth_ > kMaxDepth) return fail();
  return true;
}

// Goes behind the comma that is due; false at the end, having consumed it.
bool JsonCursor::next(char closing) {
  if (failed_) return false;
  skip_space();
  const bool first = std::exchange(first_, false);
  if (accept(closing)) {
    --depth_;
    return false;
  }
  return first || consume(',');
}

JsonCursor::Kind JsonCursor::peek() {
  if (failed_) return Kind::kNone;
  skip_space();
  if (at_ >= text_.size()) return Kind::kNone;
  switch (text_[at_]) {
    case '{':
      return Kind::kObject;
    case '[':
      return Kind::kArray;
    case '"':
      return Kind::kString;
    case 't':
    case 'f':
      return Kind::kBool;
    case 'n':
      return Kind::kNull;
    default:
      return is_digit(text_[at_]) || text_[at_] == '-' ? Kind::kNumber : Kind::kNone;
  }
}

std::string_view JsonCursor::skip() {
  if (failed_) return {};
  skip_space();
  const std::size_t start = at_;
  if (!scan_value(depth_)) return {};
  return text_.substr(start, at_ - start);
}

std::optional<std::string_view> JsonCursor::read_string() {
  if (peek() != Kind::kString) return std::nullopt;
  std::string_view text;
  if (!scan_text(scratch_, text)) return std::nullopt;
  return text;
}

std::optional<std::int64_t> JsonCursor::read_integer() {
  if (peek() != Kind::kNumber) return std::nullopt;
  const std::size_t start = at_;
  if (!scan_number()) return std::nullopt;
  std::int64_t number = 0;
  const char* end = text_.data() + at_;
  const auto [stop, failure] = std::from_chars(text_.data() + start, end, number);
  if (failure == std::errc() && stop == end) return number;
  at_ = start;
  return std::nullopt;
}

bool JsonCursor::open_object() { return open(Kind::kObject); }

bool JsonCursor::next_member(std::string& name) {
  if (!next('}')) return false;
  skip_space();
  std::string_view text;
  if (!scan_text(name, text)) return false;
  if (text.data() != name.data()) name.assign(text);
  if (!consume(':')) return false;
  return peek() != Kind::kNone || fail();
}

bool JsonCursor::open_array() { return open(Kind::kArray); }

bool JsonCursor::next_element() {
  if (!next(']')) return false;
  return peek() != Kind::kNone || fail();
}

bool JsonCursor::finished() {
  if (failed_) return false;
  skip_space();
  return depth_ == 0 && at_ == text_.size();
}

// Leaves `at_` behind the closing quote; `raw` is what stands between the quotes. Escapes are checked by `unescape`.
bool JsonCursor::scan_string(std::string_view& raw, bool& escaped) {
  if (at_ >= text_.size() || text_[at_] != '"') return fail();
  const std::size_t start = ++at_;
  escaped = false;
  while (true) {
    at_ = find_special(text_, at_);
    if (at_ >= text_.size()) return fail();
    const auto byte = static_cast<unsigned char>(text_[at_]);
    if (byte == '"') break;
    if (byte == '\\') {
      escaped = true;
      if (at_ + 1 >= text_.size()) return fail();
      at_ += 2;  // never stops between a backslash and a quote
      // The byte after the backslash may start a multi-byte character: then `unescape` refuses it.
      if (static_cast<unsigned char>(text_[at_ - 1]) >= 0x80) return fail();
    } else if (byte >= 0x80) {
      const std::size_t length = utf8_length(text_, at_);
      if (length == 0) return fail();
      at_ += length;
    } else {
      return fail();
    }
  }
  raw = text_.substr(start, at_ - start);
  ++at_;
  return true;
}

// The string's text: as it stands where that will do, else unescaped into `scratch`.
bool JsonCursor::scan_text(std::string& scratch, std::string_view& text) {
  bool escaped = false;
  if (!scan_string(text, escaped)) return false;
  if (!escaped) return true;
  if (!unescape(text, scratch)) return false;
  text = scratch;
  return true;
}

bool JsonCursor::unescape(std::string_view raw, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < raw.size();) {
    if (raw[i] != '\\') {
      const std::size_t stop = std::min(raw.find('\\', i), raw.size());
      out.append(raw, i, stop - i);
      i = stop;
      continue;
    }
    if (raw[i + 1] != 'u') {
      const char plain = simple_escape(raw[i + 1]);
      if (plain == 0) return fail();
      out += plain;
      i += 2;
      continue;
    }
    auto point = hex4(raw, i + 2);
    if (!point || (*point >= 0xdc00 && *point <= 0xdfff)) return fail();
    i += 6;
    if (*point >= 0xd800 && *point <= 0xdbff) {  // a pair, RFC 8259 §7
      if (raw.substr(i, 2) != "\\u") return fail();
      const auto low = hex4(raw, i + 2);
      if (!low || *low < 0xdc00 || *low > 0xdfff) return fail();
      point = 0x10000 + ((*point - 0xd800) << 10) + (*low - 0xdc00);
      i += 6;
    }
    append_utf8(out, *point);
  }
  return true;
}

bool JsonCursor::scan_number() {
  const auto digits = [this] {
    const std::size_t start = at_;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    return at_ > start;
  };
  accept('-');
  if (!accept('0') && !digits()) return fail();
  if (accept('.') && !digits()) return fail();
  if (accept('e') || accept('E')) {
    if (!accept('+')) accept('-');
    if (!digits()) return fail();
  }
  return true;
}

bool JsonCursor::scan_word(std::string_view word) {
  if (!text_.substr(at_).starts_with(word)) return fail();
  at_ += word.size();
  return true;
}

bool JsonCursor::scan_value(int depth) {
  skip_space();
  if (at_ >= text_.size()) return fail();
  switch (text_[at_]) {
    case '{':
      return scan_items('}', depth + 1);
    case '[':
      return scan_items(']', depth + 1);
    case '"': {
      std::string_view text;
      return scan_text(scratch_, text);
    }
    case 't':
      return scan_word("true");
    case 'f':
      return scan_word("false");
    case 'n':
      return scan_word("null");
    default:
      return scan_number();
  }
}

bool JsonCursor::scan_items(char closing, int depth) {
  if (depth > kMaxDepth) return fail();
  ++at_;
  skip_space();
  if (accept(closing)) return true;
  while (true) {
    if (closing == '}') {
      skip_space();
      std::string_view name;
      if (!scan_text(scratch_, name) || !consume(':')) return false;
    }
    if (!scan_value(depth)) return false;
    skip_space();
    if (accept(closing)) return true;
    if (!consume(',')) return false;
  }
}

}  // namespace bulkhead::protocol
