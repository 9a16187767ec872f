#include "platform/blob/blob_key.h"

#include <string>

#include "platform/process/path_safety.h"

namespace bulkhead::blob {
namespace {

constexpr process::PathRules kRules{.hidden = process::PathRules::Hidden::kRefuse, .max_size = 900, .max_depth = 32};

}  // namespace

Status check_key(std::string_view key) { return process::check_path(key, kRules); }

Status check_prefix(std::string_view prefix) {
  if (prefix.empty()) return {};
  // What is a prefix of some valid key becomes one by adding a letter.
  return process::check_path(std::string(prefix) + "x", kRules);
}

}  // namespace bulkhead::blob
