// JsonCursor against Boost.JSON: both accept the same documents, and strings decode alike.
#include <boost/json.hpp>
#include <cstdlib>

#include "protocol/json_text.h"

using bulkhead::protocol::JsonCursor;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  boost::json::parse_options options;
  options.max_depth = JsonCursor::kMaxDepth;
  boost::json::error_code failure;
  const auto value = boost::json::parse(text, failure, {}, options);
  // RFC 8259 sets no bound on exponents; Boost.JSON does.
  if (failure == boost::json::error::exponent_overflow) return 0;
  JsonCursor skipping(text);
  skipping.skip();
  if (skipping.finished() == failure.failed()) std::abort();
  JsonCursor reading(text);
  const auto string = reading.read_string();
  if (!failure && value.is_string() && (!string || *string != value.get_string())) std::abort();
  std::string quoted;
  bulkhead::protocol::append_json_string(quoted, text);
  boost::json::parse(quoted, failure);
  if (failure) std::abort();  // whatever the bytes, what we write is valid JSON
  return 0;
}
