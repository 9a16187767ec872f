// Topics of events that extensions emit and subscribe to. Pure.
#pragma once

#include <string_view>

namespace bulkhead::events {

// Words of a-z 0-9 _ - joined by single dots, 1 to 128 bytes: "billing.statement.created".
bool is_valid_event_topic(std::string_view topic);
// Topics whose first word belongs to the platform ("install.changed"): extensions may subscribe to them, never emit.
bool is_platform_topic(std::string_view topic);

}  // namespace bulkhead::events
