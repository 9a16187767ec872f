#include "base/json.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/json_duplicates.h"

namespace bulkhead {
namespace {

constexpr std::size_t kMaxDepth = 64;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// A number such as 1e400 is read as infinity, which no JSON text can say: what was stored could never be read again.
bool is_finite(const json::value& value) {
  if (value.is_double()) return std::isfinite(value.get_double());
  if (value.is_array()) return std::ranges::all_of(value.get_array(), is_finite);
  if (!value.is_object()) return true;
  return std::ranges::all_of(value.get_object(), [](const auto& member) { return is_finite(member.value()); });
}

void append_canonical(std::string& out, const json::value& value) {
  if (value.is_object()) {
    std::vector<std::string_view> names;
    for (const auto& member : value.get_object()) names.emplace_back(member.key());
    std::ranges::sort(names);
    out += '{';
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (i > 0) out += ',';
      out += json::serialize(json::string_view(names[i]));
      out += ':';
      append_canonical(out, value.get_object().at(names[i]));
    }
    out += '}';
  } else if (value.is_array()) {
    out += '[';
    for (std::size_t i = 0; i < value.get_array().size(); ++i) {
      if (i > 0) out += ',';
      append_canonical(out, value.get_array()[i]);
    }
    out += ']';
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

std::string escape_pointer(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (c == '~') {
      text += "~0";
    } else if (c == '/') {
      text += "~1";
    } else {
      text += c;
    }
  }
  return text;
}

namespace {

// "line 3, column 5", both from 1; columns are bytes.
std::string place_of(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = 1 + std::ranges::count(before, '\n');
  const std::size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return "line " + std::to_string(line) + ", column " + std::to_string(before.size() - line_start + 1);
}

}  // namespace

Result<json::value> parse_json(std::string_view text) { return parse_json(text, {}); }

Result<json::value> parse_json(std::string_view text, json::storage_ptr storage) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::stream_parser parser({}, options);
  parser.reset(std::move(storage));
  json::error_code failure;
  const std::size_t used = parser.write_some(text.data(), text.size(), failure);
  if (!failure) parser.finish(failure);
  if (!failure && used != text.size()) failure = json::make_error_code(json::error::extra_data);
  if (failure) {
    return fail(ErrorCode::kInvalidJson,
                "The body is not valid JSON: " + failure.message() + " at " + place_of(text, used) + ".");
  }
  json::value value = parser.release();
  if (const auto duplicate = find_duplicate_member(text)) {
    return fail(ErrorCode::kInvalidJson, "The member \"" + *duplicate + "\" stands twice in one object.");
  }
  if (!is_finite(value)) return fail(ErrorCode::kInvalidJson, "The body has a number that is too large.");
  return value;
}

std::string canonical_json(const json::value& value) {
  std::string out;
  append_canonical(out, value);
  return out;
}

JsonReader::JsonReader(const json::value& value, std::vector<FieldError>& problems, std::string pointer)
    : problems_(problems), pointer_(std::move(pointer)) {
  if (value.is_object()) {
    object_ = &value.get_object();
  } else {
    problems_.push_back({pointer_, "must be an object"});
  }
}

const json::value* JsonReader::member(std::string_view name) {
  known_.push_back(name);
  return object_ == nullptr ? nullptr : object_->if_contains(name);
}

std::optional<std::string> JsonReader::required_string(std::string_view name) {
  auto text = optional_string(name);
  if (!text && object_ != nullptr && !object_->contains(name)) problem(name, "is required");
  return text;
}

std::optional<std::string> JsonReader::optional_string(std::string_view name) {
  const json::value* found = member(name);
  if (found == nullptr) return std::nullopt;
  if (!found->is_string()) {
    problem(name, "must be a string");
    return std::nullopt;
  }
  return std::string(found->get_string());
}

std::optional<std::int64_t> JsonReader::optional_integer(std::string_view name, std::int64_t least, std::int64_t most) {
  const json::value* found = member(name);
  if (found == nullptr) return std::nullopt;
  json::error_code failure;
  const auto number = found->to_number<std::int64_t>(failure);
  if (failure || number < least || number > most) {
    problem(name, "must be an integer from " + std::to_string(least) + " to " + std::to_string(most));
    return std::nullopt;
  }
  return number;
}

std::optional<bool> JsonReader::optional_bool(std::string_view name) {
  const json::value* found = member(name);
  if (found == nullptr) return std::nullopt;
  if (!found->is_bool()) {
    problem(name, "must be true or false");
    return std::nullopt;
  }
  return found->get_bool();
}

std::vector<std::string> JsonReader::optional_strings(std::string_view name) {
  std::vector<std::string> texts;
  const json::value* found = member(name);
  if (found == nullptr) return texts;
  if (!found->is_array()) {
    problem(name, "must be an array of strings");
    return texts;
  }
  for (std::size_t i = 0; i < found->get_array().size(); ++i) {
    const json::value& item = found->get_array()[i];
    if (item.is_string()) {
      texts.emplace_back(item.get_string());
    } else {
      problems_.push_back({pointer_to(name) + "/" + std::to_string(i), "must be a string"});
    }
  }
  return texts;
}

void JsonReader::refuse_unknown() {
  if (object_ == nullptr) return;
  for (const auto& member : *object_) {
    if (std::ranges::find(known_, std::string_view(member.key())) != known_.end()) continue;
    std::string message = "is not a known field";
    if (const auto nearest = nearest_name(member.key(), known_)) message += "; did you mean \"" + *nearest + "\"?";
    problem(member.key(), std::move(message));
  }
}

void JsonReader::problem(std::string_view name, std::string message) {
  problems_.push_back({pointer_to(name), std::move(message)});
}

std::string JsonReader::pointer_to(std::string_view name) const { return pointer_ + "/" + escape_pointer(name); }

std::optional<std::string> nearest_name(std::string_view name, const std::vector<std::string_view>& known) {
  std::optional<std::string> nearest;
  std::size_t best = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string_view candidate : known) {
    const std::size_t distance = edit_distance(name.substr(0, 64), candidate);
    if (distance < best) {
      best = distance;
      nearest = std::string(candidate);
    }
  }
  return nearest;
}

}  // namespace bulkhead
