// Topics and subscription patterns: dot-separated words of letters, digits, '_' and '-'; a pattern may end in ".*",
// which stands for one or more further words, or be "*", which is every topic.
#pragma once

#include <string_view>

namespace bulkhead::bus {

bool is_valid_topic(std::string_view topic);
bool is_valid_pattern(std::string_view pattern);
bool matches(std::string_view pattern, std::string_view topic);

}  // namespace bulkhead::bus
