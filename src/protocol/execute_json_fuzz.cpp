// /v1/execute bodies, runners' answers and guests' documents. What was read and written again must read the same.
#include <cstdlib>

#include "protocol/execute_json.h"

using namespace bulkhead::protocol;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto request = parse_execute_request(text)) {
    const std::string written = serialize_execute_request(*request);
    const auto again = parse_execute_request(written);
    if (!again || serialize_execute_request(*again) != written) std::abort();
    std::string guest;
    append_guest_request(guest, *request);
  }
  if (const auto response = parse_execute_response(text)) {
    if (!parse_execute_response(serialize_execute_response(*response))) std::abort();
  }
  const GuestResponse answer = parse_guest_response(text);
  if (answer.status < 200 || answer.status > 599) std::abort();
  for (const auto& [name, value] : answer.headers) {
    if (name.find_first_of("\r\n: ") != std::string::npos || value.find_first_of("\r\n") != std::string::npos)
      std::abort();
  }
  return 0;
}
