// Any JSON as the request of http.fetch, and any text as a redirect's Location: what passes has one reading, and no
// header field can begin another.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "features/egress/fetch_request.h"
#include "features/egress/header_policy.h"

namespace {

using namespace bulkhead;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const egress::TargetUrl& url) {
  const auto again = egress::TargetUrl::parse(url.to_string());
  require(again.has_value() && *again == url && again->to_string() == url.to_string());
  for (const char c : url.to_string()) require(c > 0x20 && c < 0x7F && c != '\\' && c != '#');
  for (const char c : url.host()) require(c != '/' && c != '@' && c != '%' && c != '?' && (c < 'A' || c > 'Z'));
  require(url.port() != 0);
}

void check(const egress::FetchRequest& request) {
  check(request.url);
  require(request.headers.size() <= egress::kMaxHeaderCount);
  for (const auto& header : request.headers) {
    require(egress::is_field_name(header.name) && egress::is_field_value(header.value));
    require(egress::request_field_rule(header.name) == egress::FieldRule::kPass);
  }
}

}  // namespace

// The request's JSON, then after the last line break the Location of a 302.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto line = std::min(input.rfind('\n'), input.size());
  const auto document = parse_json(input.substr(0, line));
  if (!document) return 0;
  auto request = egress::parse_fetch_request(*document);
  if (!request) {
    require(!request.error().message.empty() && request.error().code != protocol::HostCode::kOk);
    return 0;
  }
  check(*request);
  const bool was_https = request->url.is_https();
  const auto origin = request->url;
  if (!egress::apply_redirect(*request, 302, input.substr(std::min(line + 1, input.size())))) return 0;
  check(*request);
  require(!was_https || request->url.is_https());
  for (const auto& header : request->headers) {
    require(request->url.same_origin(origin) || header.secret_handle.empty());
  }
  return 0;
}
