// Every frame parser; the first byte chooses which. What parses must survive being written and parsed again.
#include <cstdlib>

#include "protocol/frames.h"

using namespace bulkhead::protocol;

namespace {

template <typename Parsed, typename Append, typename Parse>
void round_trip(const Parsed& parsed, Append append, Parse parse) {
  if (!parsed) return;
  std::string written;
  append(written, *parsed);
  const auto header = peek_frame(written);
  if (!header || !*header) std::abort();
  const std::string_view payload = std::string_view(written).substr(kFrameHeaderSize);
  const auto again = parse(payload);
  if (!again) std::abort();
  std::string twice;
  append(twice, *again);
  if (twice != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view payload(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (static_cast<FrameType>(data[0])) {
    case FrameType::kExecute:
      round_trip(parse_execute(payload), [](auto& out, const auto& v) { append_execute(out, 1, v); }, parse_execute);
      break;
    case FrameType::kModule:
      round_trip(parse_module(payload), [](auto& out, const auto& v) { append_module(out, v); }, parse_module);
      break;
    case FrameType::kNoModule:
      round_trip(
          parse_no_module(payload), [](auto& out, const auto& v) { append_no_module(out, v.hash, v.error); },
          parse_no_module);
      break;
    case FrameType::kHostResult:
      round_trip(
          parse_host_result(payload), [](auto& out, const auto& v) { append_host_result(out, 1, v); },
          parse_host_result);
      break;
    case FrameType::kResult:
      round_trip(parse_result(payload), [](auto& out, const auto& v) { append_result(out, 1, v); }, parse_result);
      break;
    case FrameType::kNeedModule:
      round_trip(
          parse_need_module(payload), [](auto& out, const auto& v) { append_need_module(out, v); }, parse_need_module);
      break;
    case FrameType::kHostCall:
      round_trip(
          parse_host_call(payload), [](auto& out, const auto& v) { append_host_call(out, 1, v); }, parse_host_call);
      break;
    case FrameType::kOpen:
      round_trip(parse_open(payload), [](auto& out, const auto& v) { append_open(out, 1, v); }, parse_open);
      break;
    default:
      static_cast<void>(peek_frame(payload));
  }
  return 0;
}
