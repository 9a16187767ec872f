#include "platform/bus/topics.h"

#include <cstddef>

namespace bulkhead::bus {
namespace {

constexpr std::size_t kLongestTopic = 255;

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

}  // namespace

bool is_valid_topic(std::string_view topic) {
  if (topic.empty() || topic.size() > kLongestTopic) return false;
  bool in_word = false;
  for (const char c : topic) {
    if (c == '.' && !in_word) return false;
    if (c != '.' && !is_word_character(c)) return false;
    in_word = c != '.';
  }
  return in_word;
}

bool is_valid_pattern(std::string_view pattern) {
  if (pattern == "*") return true;
  if (pattern.ends_with(".*")) pattern.remove_suffix(2);
  return is_valid_topic(pattern);
}

bool matches(std::string_view pattern, std::string_view topic) {
  if (!pattern.ends_with('*')) return pattern == topic;
  pattern.remove_suffix(1);
  return topic.size() > pattern.size() && topic.starts_with(pattern);
}

}  // namespace bulkhead::bus
