// JSON text without a DOM, for the two hot paths that read and write it: /v1/execute and the guest's ABI documents.
//
// Why not Boost.JSON here: members such as `config`, `user` and event payloads must pass through byte for byte; a DOM
// turns 1.0 into 1E0 and rounds integers over 64 bits. What is valid is the same, but for numbers with absurd
// exponents, which are well-formed JSON: json_text_test.cpp and json_text_fuzz.cpp hold the two against each other, and
// execute_json_bench.cpp measures beside the DOM.
// Plain values; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bulkhead::protocol {

// Appends `text` as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD: header values and paths
// may hold any byte, and a guest must still get a valid document.
void append_json_string(std::string& out, std::string_view text);
void append_number(std::string& out, std::uint64_t number);
void append_number(std::string& out, std::int64_t number);

// Reads one JSON document from front to back. The first syntax error makes it `failed()`: everything after that answers
// as if the document had ended, so callers check once at the end.
class JsonCursor {
 public:
  enum class Kind : std::uint8_t { kObject, kArray, kString, kNumber, kBool, kNull, kNone };

  explicit JsonCursor(std::string_view text) : text_(text) {}

  // The kind of the value that comes next.
  Kind peek();
  // Skips the value that comes next, checking it, and returns its text as it stands.
  std::string_view skip();
  // Each reads the value when it is of that kind, else leaves it where it is.
  std::optional<std::string_view> read_string();  // valid until the next read_string or next_member
  std::optional<std::int64_t> read_integer();     // also leaves 1.5 and what does not fit
  // Objects and arrays: `if (cursor.open_object()) while (cursor.next_member(name)) { … read or skip the value … }`.
  bool open_object();
  bool next_member(std::string& name);  // false at the end, having consumed the '}'
  bool open_array();
  bool next_element();  // false at the end, having consumed the ']'

  // True when the document was valid and nothing but white space follows.
  bool finished();
  bool failed() const { return failed_; }
  std::size_t offset() const { return at_; }

  static constexpr int kMaxDepth = 64;  // contracts/access.md

 private:
  void skip_space();
  bool accept(char wanted);
  bool consume(char expected);
  bool fail();
  bool open(Kind kind);
  bool next(char closing);
  bool scan_string(std::string_view& raw, bool& escaped);
  bool scan_text(std::string& scratch, std::string_view& text);
  bool scan_number();
  bool scan_word(std::string_view word);
  bool scan_value(int depth);
  bool scan_items(char closing, int depth);
  bool unescape(std::string_view raw, std::string& out);

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool failed_ = false;
  bool first_ = false;  // right after '{' or '[': no comma is due
  std::string scratch_;
};

}  // namespace bulkhead::protocol
