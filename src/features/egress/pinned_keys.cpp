#include "features/egress/pinned_keys.h"

#include <algorithm>

#include "base/bytes.h"
#include "features/egress/target_url.h"

namespace bulkhead::egress {
namespace {

constexpr std::string_view kScheme = "sha256//";
constexpr std::size_t kDigestSize = 32;

bool are_pins(std::string_view text) {
  while (true) {
    const auto end = std::min(text.find(';'), text.size());
    const auto pin = text.substr(0, end);
    if (!pin.starts_with(kScheme)) return false;
    const auto digest = base64_decode(pin.substr(kScheme.size()));
    if (!digest || digest->size() != kDigestSize) return false;
    if (end == text.size()) return true;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

Result<PinnedKeys> PinnedKeys::parse(const std::vector<std::string>& lines) {
  PinnedKeys keys;
  for (const std::string& line : lines) {
    const auto equals = std::min(line.find('='), line.size());
    const auto url = TargetUrl::parse("https://" + line.substr(0, equals) + "/");
    const bool plain_host = url && url->host().size() == equals;  // nothing but a host
    if (!plain_host || equals == line.size() || !are_pins(std::string_view(line).substr(equals + 1))) {
      return fail(ErrorCode::kUnprocessable, "\"" + line + "\" is not HOST=sha256//BASE64.");
    }
    if (!keys.pins_.emplace(url->host(), line.substr(equals + 1)).second) {
      return fail(ErrorCode::kUnprocessable, "\"" + url->host() + "\" is pinned twice; separate its keys by \";\".");
    }
  }
  return keys;
}

std::string_view PinnedKeys::of(const std::string& host) const {
  const auto found = pins_.find(host);
  return found == pins_.end() ? std::string_view() : std::string_view(found->second);
}

}  // namespace bulkhead::egress
