#include "base/json_duplicates.h"

#include <boost/json/basic_parser_impl.hpp>
#include <unordered_set>
#include <vector>

namespace bulkhead {
namespace {

namespace json = boost::json;

// A Boost.JSON event handler that keeps one set of names per open object.
struct DuplicateFinder {
  static constexpr std::size_t max_object_size = SIZE_MAX;
  static constexpr std::size_t max_array_size = SIZE_MAX;
  static constexpr std::size_t max_key_size = SIZE_MAX;
  static constexpr std::size_t max_string_size = SIZE_MAX;

  std::vector<std::vector<std::string>> open_objects;
  std::string key;
  std::optional<std::string> duplicate;

  bool add_key(json::error_code& failure) {
    auto& names = open_objects.back();
    names.push_back(std::move(key));
    key.clear();
    // Small objects are the rule; a large one is sorted out by a set when it closes.
    if (names.size() <= 16) {
      for (std::size_t i = 0; i + 1 < names.size(); ++i) {
        if (names[i] == names.back()) return found(names.back(), failure);
      }
    }
    return true;
  }
  bool close_object(json::error_code& failure) {
    const auto names = std::move(open_objects.back());
    open_objects.pop_back();
    if (names.size() <= 16) return true;
    std::unordered_set<std::string_view> seen;
    for (const auto& name : names) {
      if (!seen.insert(name).second) return found(name, failure);
    }
    return true;
  }
  bool found(const std::string& name, json::error_code& failure) {
    duplicate = name;
    failure = json::make_error_code(json::error::syntax);
    return false;
  }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    open_objects.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, json::error_code& failure) { return close_object(failure); }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t, json::error_code&) { return true; }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    key.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code& failure) {
    key.append(part.data(), part.size());
    return add_key(failure);
  }
  bool on_string_part(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t, json::string_view, json::error_code&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, json::error_code&) { return true; }
  bool on_double(double, json::string_view, json::error_code&) { return true; }
  bool on_bool(bool, json::error_code&) { return true; }
  bool on_null(json::error_code&) { return true; }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }
};

}  // namespace

std::optional<std::string> find_duplicate_member(std::string_view text) {
  json::parse_options options;
  options.max_depth = 64;
  json::basic_parser<DuplicateFinder> parser(options);
  json::error_code failure;
  parser.write_some(false, text.data(), text.size(), failure);
  return parser.handler().duplicate;
}

}  // namespace bulkhead
