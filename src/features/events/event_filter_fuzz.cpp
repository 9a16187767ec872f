// Filter, NUL, payload: compiles the one and matches the other. What compiles must say the same twice.
#include <cstdint>
#include <string_view>

#include "features/events/event_filter.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = text.find('\0');
  const auto filter = bulkhead::events::EventFilter::parse(text.substr(0, cut));
  if (!filter || cut == std::string_view::npos) return 0;
  const auto payload = bulkhead::parse_json(text.substr(cut + 1));
  if (!payload) return 0;
  BH_ASSERT(filter->matches(*payload) == filter->matches(*payload));
  return 0;
}
