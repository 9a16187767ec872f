// JSON by Boost.JSON, with the limits of contracts/access.md (depth 64) and typed, path-aware readers.
//
// `parse_json` is for bytes from outside. `JsonReader` walks an object and collects every problem as a FieldError with
// its RFC 6901 pointer instead of stopping at the first; unknown members are problems that name the nearest known one.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhead {

namespace json = boost::json;

// kInvalidJson with the byte offset of the problem. Duplicate members, depth over 64 and trailing bytes are refused.
Result<json::value> parse_json(std::string_view text);
// As above, into memory of `storage` (e.g. a per-request json::monotonic_resource).
Result<json::value> parse_json(std::string_view text, json::storage_ptr storage);

// RFC 8785-like canonical text (members sorted by byte order, no white space): for hashes and comparisons.
std::string canonical_json(const json::value& value);

// One name as a segment of a JSON pointer: ~ and / escaped (RFC 6901 §3).
std::string escape_pointer(std::string_view name);

// Reads members of one object. All problems of nested readers land in the same list.
class JsonReader {
 public:
  JsonReader(const json::value& value, std::vector<FieldError>& problems, std::string pointer = "");

  std::optional<std::string> required_string(std::string_view name);
  std::optional<std::string> optional_string(std::string_view name);
  std::optional<std::int64_t> optional_integer(std::string_view name, std::int64_t least, std::int64_t most);
  std::optional<bool> optional_bool(std::string_view name);
  std::vector<std::string> optional_strings(std::string_view name);
  // The member as it is, or null when absent. Marks it as known.
  const json::value* member(std::string_view name);
  // Reports every member that no call above has asked for. Call it last.
  void refuse_unknown();

  void problem(std::string_view name, std::string message);
  std::string pointer_to(std::string_view name) const;
  bool is_object() const { return object_ != nullptr; }

 private:
  const json::object* object_ = nullptr;
  std::vector<FieldError>& problems_;
  std::string pointer_;
  std::vector<std::string_view> known_;
};

// The known name with the smallest edit distance to `name`, if it is near enough to be meant.
std::optional<std::string> nearest_name(std::string_view name, const std::vector<std::string_view>& known);

}  // namespace bulkhead
