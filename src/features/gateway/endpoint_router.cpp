#include "features/gateway/endpoint_router.h"

namespace bulkhead::gateway {
namespace {

using Segments = std::vector<std::string>;

// Splits and decodes. "a/b", "/a/b" and "/a/b/" are the same path; an empty segment inside is one of its own.
Result<Segments> split(std::string_view path) {
  Segments segments;
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view raw = path.substr(0, slash);
    auto decoded = net::percent_decode(raw);
    if (!decoded || decoded->find('/') != std::string::npos || *decoded == "." || *decoded == "..") {
      return fail(ErrorCode::kInvalidPath, "The path has a segment that is not allowed.");
    }
    segments.push_back(std::move(*decoded));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
    if (path.empty()) segments.emplace_back();
  }
  return segments;
}

// How many leading segments are literal matches is what makes one endpoint more specific than another.
std::optional<std::string> specificity(const extensions::Endpoint& endpoint, const Segments& segments) {
  if (endpoint.segments.size() != segments.size()) return std::nullopt;
  std::string rank;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::string& pattern = endpoint.segments[i];
    if (pattern.starts_with(':')) {
      if (segments[i].empty()) return std::nullopt;
      rank += '0';
    } else if (pattern == segments[i]) {
      rank += '1';
    } else {
      return std::nullopt;
    }
  }
  return rank;
}

}  // namespace

Result<EndpointMatch> match_endpoint(const extensions::RunnableVersion& version, net::Method method,
                                     std::string_view path) {
  BH_TRY(const Segments segments, split(path));
  const std::string_view wanted = method == net::Method::kHead ? "GET" : net::to_string(method);
  EndpointMatch match;
  std::string best;
  for (const extensions::Endpoint& endpoint : version.endpoints) {
    auto rank = specificity(endpoint, segments);
    if (!rank) continue;
    match.allowed.add(net::parse_method(endpoint.method));
    if (endpoint.method != wanted) continue;
    if (match.endpoint != nullptr && *rank <= best) continue;
    match.endpoint = &endpoint;
    best = std::move(*rank);
  }
  if (match.endpoint != nullptr) {
    match.path = path.starts_with('/') ? "" : "/";
    // No segment holds an encoded slash, so decoding the whole says the same as decoding each.
    match.path += path.find('%') == std::string_view::npos ? std::string(path) : net::percent_decode(path).value_or("");
    for (std::size_t i = 0; i < segments.size(); ++i) {
      const std::string& pattern = match.endpoint->segments[i];
      if (pattern.starts_with(':')) match.params.emplace_back(pattern.substr(1), segments[i]);
    }
  }
  if (!match.allowed.empty()) {
    if (match.allowed.contains(net::Method::kGet)) match.allowed.add(net::Method::kHead);
    match.allowed.add(net::Method::kOptions);
  }
  return match;
}

std::string MethodSet::to_string() const {
  using enum net::Method;
  std::string text;
  for (const net::Method method : {kDelete, kGet, kHead, kOptions, kPatch, kPost, kPut}) {
    if (!contains(method)) continue;
    if (!text.empty()) text += ", ";
    text += net::to_string(method);
  }
  return text;
}

}  // namespace bulkhead::gateway
