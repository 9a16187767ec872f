// What handlers read from a request, all in one way: JSON bodies, pages, If-Match.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "features/access/route.h"

namespace bulkhead::access {

// The body as JSON. kUnsupportedMediaType unless it is application/json (an empty body with no content type reads as
// {}), kInvalidJson.
Result<json::value> json_body(const net::Request& request);
// After a JsonReader is done: its problems as one kUnprocessable error, or nothing.
Status check_problems(std::vector<FieldError> problems);

// `?limit=&cursor=`: 1 to 200, 50 by default. The cursor is what `page_json` gave out before, decoded; "" on the first
// page.
struct Page {
  std::size_t limit = 50;
  std::string after;
};
Result<Page> page_of(const net::Request& request);
// {"items":[…],"next_cursor":"…"|null}: ask the store for `limit + 1` items; the surplus one only shows that there are
// more. `position_of_last` is the sort key of the last item shown.
json::object page_json(json::array items, bool has_more, std::string_view position_of_last);

// The revision that If-Match demands; nullopt without the header or with "*". kBadRequest for another form.
Result<std::optional<std::int64_t>> if_match(const net::Request& request);
std::string etag_of(std::int64_t revision);  // "\"7\""

// The answer to an error, with the context's request id.
net::Response problem_response(const Error& error, const RouteContext& context);

}  // namespace bulkhead::access
