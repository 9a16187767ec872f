// clean_path on any bytes: what it lets through is canonical, stays canonical, and can't name anything above its root.
#include <string_view>

#include "platform/process/path_safety.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using bulkhead::process::PathRules;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const auto hidden : {PathRules::Hidden::kAllow, PathRules::Hidden::kRefuse}) {
    const PathRules rules{.hidden = hidden};
    const auto cleaned = bulkhead::process::clean_path(input, rules);
    BH_ASSERT(check_path(input, rules).has_value() == (cleaned && *cleaned == input));
    if (!cleaned) continue;
    BH_ASSERT(!cleaned->empty() && cleaned->size() <= input.size());
    BH_ASSERT(!cleaned->starts_with('/') && !cleaned->ends_with('/'));
    BH_ASSERT(cleaned->find('\0') == std::string::npos && cleaned->find('\\') == std::string::npos);
    const auto framed = "/" + *cleaned + "/";
    BH_ASSERT(framed.find("/../") == std::string::npos && framed.find("//") == std::string::npos);
    BH_ASSERT(hidden == PathRules::Hidden::kAllow || framed.find("/.") == std::string::npos);
    BH_ASSERT(check_path(*cleaned, rules).has_value());
  }
  return 0;
}
