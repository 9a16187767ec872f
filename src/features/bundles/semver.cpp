#include "features/bundles/semver.h"

#include <algorithm>

namespace bulkhead::bundles {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_identifier_character(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}
bool is_numeric(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_digit); }

// Cuts `text` at the first `separator`; the rest goes to `text`. nullopt in `text` means that nothing follows.
std::string_view take_part(std::optional<std::string_view>& text, char separator) {
  const std::string_view whole = *text;
  const std::size_t at = whole.find(separator);
  if (at == std::string_view::npos) {
    text.reset();
    return whole;
  }
  text = whole.substr(at + 1);
  return whole.substr(0, at);
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (!is_numeric(text) || text.size() > 18 || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) value = value * 10 + static_cast<std::uint64_t>(c - '0');
  return value;
}

enum class LeadingZeros : std::uint8_t { kAllowed, kRefused };

bool are_identifiers(std::string_view text, LeadingZeros zeros) {
  std::optional<std::string_view> rest = text;
  while (rest) {
    const std::string_view part = take_part(rest, '.');
    if (part.empty() || !std::ranges::all_of(part, is_identifier_character)) return false;
    if (zeros == LeadingZeros::kRefused && is_numeric(part) && part.size() > 1 && part.front() == '0') return false;
  }
  return true;
}

std::weak_ordering compare_identifiers(std::string_view left, std::string_view right) {
  const bool left_numeric = is_numeric(left), right_numeric = is_numeric(right);
  if (left_numeric != right_numeric) {
    return left_numeric ? std::weak_ordering::less : std::weak_ordering::greater;
  }
  // Without leading zeros a longer number is a larger one, so no size of integer limits it.
  if (left_numeric && left.size() != right.size()) return left.size() <=> right.size();
  return left.compare(right) <=> 0;
}

std::weak_ordering compare_prereleases(std::string_view left, std::string_view right) {
  if (left.empty() || right.empty()) return static_cast<int>(left.empty()) <=> static_cast<int>(right.empty());
  std::optional<std::string_view> left_rest = left, right_rest = right;
  while (left_rest && right_rest) {
    const auto order = compare_identifiers(take_part(left_rest, '.'), take_part(right_rest, '.'));
    if (order != 0) return order;
  }
  return static_cast<int>(left_rest.has_value()) <=> static_cast<int>(right_rest.has_value());
}

}  // namespace

std::optional<Semver> Semver::parse(std::string_view text) {
  if (text.size() > kMaxLength) return std::nullopt;
  Semver version;
  version.text_ = std::string(text);
  if (const std::size_t plus = text.find('+'); plus != std::string_view::npos) {
    version.build_ = std::string(text.substr(plus + 1));
    if (!are_identifiers(version.build_, LeadingZeros::kAllowed)) return std::nullopt;
    text = text.substr(0, plus);
  }
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    version.prerelease_ = std::string(text.substr(dash + 1));
    if (!are_identifiers(version.prerelease_, LeadingZeros::kRefused)) return std::nullopt;
    text = text.substr(0, dash);
  }
  std::optional<std::string_view> rest = text;
  for (std::uint64_t& number : version.numbers_) {
    if (!rest) return std::nullopt;
    const auto value = parse_number(take_part(rest, '.'));
    if (!value) return std::nullopt;
    number = *value;
  }
  if (rest) return std::nullopt;
  return version;
}

std::weak_ordering operator<=>(const Semver& left, const Semver& right) {
  if (const auto order = left.numbers_ <=> right.numbers_; order != 0) return order;
  return compare_prereleases(left.prerelease_, right.prerelease_);
}

}  // namespace bulkhead::bundles
