#include "features/events/topic.h"

#include <algorithm>
#include <array>

namespace bulkhead::events {

bool is_valid_event_topic(std::string_view topic) {
  if (topic.empty() || topic.size() > 128) return false;
  char before = '.';
  for (const char c : topic) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!letter && (c != '.' || before == '.')) return false;
    before = c;
  }
  return before != '.';
}

bool is_platform_topic(std::string_view topic) {
  constexpr std::array<std::string_view, 9> kOwn = {"alga",     "audit",  "bulkhead", "extension", "install",
                                                    "platform", "policy", "system",   "trust"};
  return std::ranges::find(kOwn, topic.substr(0, topic.find('.'))) != kOwn.end();
}

}  // namespace bulkhead::events
