// Semver: a strict Semantic Version 2.0.0 (https://semver.org). Leading zeros, missing parts, a "v" prefix and anything
// else that the grammar does not have are refused. A value; safe to share.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bulkhead::bundles {

class Semver {
 public:
  static constexpr std::size_t kMaxLength = 128;

  // At most kMaxLength characters; the three numbers below 10^18.
  static std::optional<Semver> parse(std::string_view text);

  // As it was written, build metadata included.
  const std::string& text() const { return text_; }
  // major, minor, patch
  const std::array<std::uint64_t, 3>& numbers() const { return numbers_; }
  // "rc.1" of "1.0.0-rc.1"; empty for a release.
  const std::string& prerelease() const { return prerelease_; }
  const std::string& build() const { return build_; }

  // Precedence (§11): build metadata does not count, a pre-release comes before its release.
  friend std::weak_ordering operator<=>(const Semver& left, const Semver& right);
  friend bool operator==(const Semver& left, const Semver& right) { return (left <=> right) == 0; }

 private:
  std::string text_;
  std::array<std::uint64_t, 3> numbers_{};
  std::string prerelease_;
  std::string build_;
};

}  // namespace bulkhead::bundles
