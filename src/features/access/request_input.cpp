#include "features/access/request_input.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"

namespace bulkhead::access {
namespace {

constexpr std::size_t kCursorLimit = 512;
constexpr std::int64_t kPageLimit = 200;

bool is_json_type(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  constexpr std::string_view kJson = "application/json";
  return std::ranges::equal(type, kJson,
                            [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

std::optional<std::int64_t> integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<json::value> json_body(const net::Request& request) {
  const auto type = request.headers.find("content-type");
  if (!type && request.body.empty()) return json::value(json::object());
  if (!type || !is_json_type(*type)) return fail(ErrorCode::kUnsupportedMediaType);
  return parse_json(request.body);
}

Status check_problems(std::vector<FieldError> problems) {
  if (problems.empty()) return {};
  Error error = fail(ErrorCode::kUnprocessable, "Some fields of the body are not valid.").error();
  error.fields = std::move(problems);
  return fail(std::move(error));
}

Result<Page> page_of(const net::Request& request) {
  const auto query = net::parse_query(request.query());
  if (!query) return fail(ErrorCode::kBadRequest, "The query has a bad percent escape.");
  Page page;
  if (const auto limit = net::query_value(*query, "limit")) {
    const auto number = integer(*limit);
    if (!number || *number < 1 || *number > kPageLimit) {
      return fail(ErrorCode::kBadRequest, "limit must be an integer from 1 to 200.");
    }
    page.limit = static_cast<std::size_t>(*number);
  }
  const auto cursor = net::query_value(*query, "cursor");
  if (!cursor || cursor->empty()) return page;
  auto position = cursor->size() <= kCursorLimit ? base64url_decode(*cursor) : std::nullopt;
  const bool plain = position && std::ranges::all_of(*position, [](char c) { return c > 0x20 && c < 0x7f; });
  if (!plain) return fail(ErrorCode::kBadRequest, "cursor must be the next_cursor of an earlier answer.");
  page.after = std::move(*position);
  return page;
}

json::object page_json(json::array items, bool has_more, std::string_view position_of_last) {
  json::object page;
  page["items"] = std::move(items);
  page["next_cursor"] = has_more ? json::value(base64url_encode(position_of_last)) : json::value(nullptr);
  return page;
}

Result<std::optional<std::int64_t>> if_match(const net::Request& request) {
  const auto field = request.headers.find("if-match");
  if (!field || *field == "*") return std::nullopt;
  const std::string_view text = *field;
  const auto revision = text.size() >= 3 && text.front() == '"' && text.back() == '"'
                            ? integer(text.substr(1, text.size() - 2))
                            : std::nullopt;
  if (!revision) return fail(ErrorCode::kBadRequest, "If-Match must be the ETag of an earlier answer.");
  return revision;
}

std::string etag_of(std::int64_t revision) { return "\"" + std::to_string(revision) + "\""; }

net::Response problem_response(const Error& error, const RouteContext& context) {
  return net::problem(error, context.request_id);
}

}  // namespace bulkhead::access
