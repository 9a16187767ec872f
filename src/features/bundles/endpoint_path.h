// Paths of API endpoints in manifests: "/agreements/:id" or "/agreements/{id}".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bulkhead::bundles {

struct EndpointPath {
  std::string text;                   // normalised: parameters as ":id"
  std::vector<std::string> segments;  // "agreements", ":id"
};
// The error's message says what is wrong ("must start with a slash").
Result<EndpointPath> parse_endpoint_path(std::string_view text);

enum class Overlap : std::uint8_t {
  kNone,       // no path matches both, or one is at least as specific in every segment (the literal one wins)
  kSame,       // they match the same paths
  kAmbiguous,  // some path matches both and neither is the more specific one: /a/:x and /:y/b
};
Overlap overlap(const std::vector<std::string>& left, const std::vector<std::string>& right);

}  // namespace bulkhead::bundles
