#include "features/extensions/string_list.h"

#include "base/json.h"

namespace bulkhead::extensions {

std::string list_to_text(const std::vector<std::string>& texts) {
  return json::serialize(json::array(texts.begin(), texts.end()));
}

std::vector<std::string> list_from_text(const std::string& text) {
  const auto parsed = parse_json(text);
  BH_ASSERT(parsed.has_value() && parsed->is_array());
  std::vector<std::string> texts;
  for (const json::value& item : parsed->get_array()) texts.emplace_back(item.as_string());
  return texts;
}

}  // namespace bulkhead::extensions
