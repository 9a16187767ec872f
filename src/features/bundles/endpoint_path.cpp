#include "features/bundles/endpoint_path.h"

#include <algorithm>

namespace bulkhead::bundles {
namespace {

constexpr std::size_t kMaxSegments = 32;

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool is_literal_character(char c) {  // RFC 3986 pchar without ':', '*' and escapes, which would need decoding first
  return is_alphanumeric(c) || std::string_view("._~!$&'()+,;=@-").contains(c);
}
bool is_parameter(std::string_view segment) { return segment.starts_with(':'); }

bool is_parameter_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && !(name.front() >= '0' && name.front() <= '9') &&
         std::ranges::all_of(name, [](char c) { return is_alphanumeric(c) || c == '_'; });
}

Result<std::string> parse_segment(std::string_view segment) {
  if (segment.empty()) return fail(ErrorCode::kInvalidManifest, "has an empty segment");
  if (segment.front() == ':' || (segment.front() == '{' && segment.back() == '}')) {
    const std::string_view name =
        segment.front() == ':' ? segment.substr(1) : segment.substr(1, std::max<std::size_t>(segment.size(), 2) - 2);
    if (!is_parameter_name(name)) {
      return fail(ErrorCode::kInvalidManifest, "has a parameter whose name is not letters, digits and underscores");
    }
    return ":" + std::string(name);
  }
  if (segment == "." || segment == "..") return fail(ErrorCode::kInvalidManifest, "has a dot segment");
  if (!std::ranges::all_of(segment, is_literal_character)) {
    return fail(ErrorCode::kInvalidManifest, "has a character that is not allowed in a path segment");
  }
  return std::string(segment);
}

}  // namespace

Result<EndpointPath> parse_endpoint_path(std::string_view text) {
  if (!text.starts_with('/')) return fail(ErrorCode::kInvalidManifest, "must start with a slash");
  if (text.size() > 512) return fail(ErrorCode::kInvalidManifest, "must have at most 512 characters");
  EndpointPath path;
  if (text == "/") {
    path.text = "/";
    return path;
  }
  std::string_view rest = text.substr(1);
  for (bool more = true; more;) {
    const std::size_t slash = rest.find('/');
    more = slash != rest.npos;
    BH_TRY(std::string segment, parse_segment(rest.substr(0, slash)));
    if (is_parameter(segment) && std::ranges::find(path.segments, segment) != path.segments.end()) {
      return fail(ErrorCode::kInvalidManifest, "has the parameter " + segment.substr(1) + " twice");
    }
    path.text += '/';
    path.text += segment;
    path.segments.push_back(std::move(segment));
    if (more) rest.remove_prefix(slash + 1);
  }
  if (path.segments.size() > kMaxSegments) return fail(ErrorCode::kInvalidManifest, "must have at most 32 segments");
  return path;
}

Overlap overlap(const std::vector<std::string>& left, const std::vector<std::string>& right) {
  if (left.size() != right.size()) return Overlap::kNone;
  bool left_more_specific = false, right_more_specific = false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const bool left_parameter = is_parameter(left[i]), right_parameter = is_parameter(right[i]);
    if (!left_parameter && !right_parameter && left[i] != right[i]) return Overlap::kNone;
    left_more_specific |= !left_parameter && right_parameter;
    right_more_specific |= left_parameter && !right_parameter;
  }
  if (left_more_specific && right_more_specific) return Overlap::kAmbiguous;
  return left_more_specific || right_more_specific ? Overlap::kNone : Overlap::kSame;
}

}  // namespace bulkhead::bundles
