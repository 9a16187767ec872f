#include "features/bundles/name.h"

#include <algorithm>

namespace bulkhead::bundles {
namespace {

bool is_letter(char c) { return c >= 'a' && c <= 'z'; }
bool is_label_character(char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '-'; }

std::optional<std::string> label_problem(std::string_view label) {
  if (label.empty()) return "has an empty label";
  if (label.size() > 63) return "has a label of more than 63 characters";
  if (!std::ranges::all_of(label, is_label_character)) return "may hold only a-z, 0-9, hyphens and dots";
  if (label.front() == '-' || label.back() == '-') return "has a label that starts or ends with a hyphen";
  return std::nullopt;
}

}  // namespace

std::optional<std::string> prefix_problem(std::string_view prefix) {
  if (prefix == "*") return std::nullopt;
  if (prefix.size() > kMaxNameLength) return "is longer than 128 characters";
  if (prefix.empty() || !is_letter(prefix.front())) return "must start with a lower-case letter";
  std::size_t start = 0;
  for (;;) {
    const std::size_t dot = prefix.find('.', start);
    if (auto problem = label_problem(prefix.substr(start, dot == prefix.npos ? dot : dot - start))) return problem;
    if (dot == prefix.npos) return std::nullopt;
    start = dot + 1;
  }
}

std::optional<std::string> name_problem(std::string_view name) {
  if (name == "*") return "may hold only a-z, 0-9, hyphens and dots";
  if (auto problem = prefix_problem(name)) return problem;
  if (!name.contains('.')) return "must be a reverse-domain name, e.g. com.example.orders";
  return std::nullopt;
}

bool prefix_covers(std::string_view prefix, std::string_view name) {
  if (prefix == "*" || prefix == name) return true;
  return name.size() > prefix.size() && name.starts_with(prefix) && name[prefix.size()] == '.';
}

}  // namespace bulkhead::bundles
