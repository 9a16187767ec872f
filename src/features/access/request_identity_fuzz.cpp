// Any x-request-id and traceparent: what goes on is always of our own form.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "features/access/request_identity.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bulkhead;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static SeededRandom random(1);
  net::Headers headers;
  headers.add("x-request-id", text);
  headers.add("traceparent", text);
  if (!access::is_valid_request_id(access::choose_request_id(headers, {1}, random))) std::abort();
  if (access::child_trace_parent(headers, random).size() != 55) std::abort();
  return 0;
}
