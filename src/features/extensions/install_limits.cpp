#include "features/extensions/install_limits.h"

namespace bulkhead::extensions {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1024} * 1024;

protocol::Limits apply(JsonReader& reader) {
  protocol::Limits limits;
  if (const auto ms = reader.optional_integer("timeout_ms", 1, protocol::kMaxTimeout.count())) {
    limits.timeout = Millis(*ms);
  }
  constexpr auto kMaxMemoryMb = static_cast<std::int64_t>(protocol::kMaxMemory.value) / kMiB;
  if (const auto mb = reader.optional_integer("memory_mb", 1, kMaxMemoryMb)) {
    limits.memory = Bytes{static_cast<std::uint64_t>(*mb * kMiB)};
  }
  if (const auto fuel = reader.optional_integer("fuel", 1, INT64_MAX)) limits.fuel = static_cast<std::uint64_t>(*fuel);
  if (const auto calls = reader.optional_integer("concurrency", 1, 1'000)) {
    limits.tenant_concurrency = static_cast<std::uint32_t>(*calls);
  }
  if (const auto calls = reader.optional_integer("queue", 0, 10'000)) {
    limits.tenant_queue = static_cast<std::uint32_t>(*calls);
  }
  return limits;
}

}  // namespace

std::string read_limits(const json::value& value, std::vector<FieldError>& problems) {
  JsonReader reader(value, problems, "/limits");
  apply(reader);
  reader.refuse_unknown();
  return canonical_json(value);
}

protocol::Limits limits_from_text(const std::string& text) {
  std::vector<FieldError> ignored;  // it was checked before it was stored
  const auto value = parse_json(text);
  if (!value) return {};
  JsonReader reader(*value, ignored);
  return apply(reader);
}

}  // namespace bulkhead::extensions
