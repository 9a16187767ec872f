#include "protocol/compile_result.h"

#include "base/byte_codec.h"

namespace bulkhead::protocol {
namespace {

constexpr std::string_view kMagic = "BHCOMP02";
constexpr std::uint8_t kOk = 1;
constexpr std::uint8_t kFailed = 2;

}  // namespace

std::string encode_compile_result(const CompileResult& result) {
  std::string bytes;
  bytes.reserve(result.code.size() + 256);
  ByteWriter writer(bytes);
  writer.raw(kMagic);
  writer.number(kOk);
  writer.text(result.target);
  writer.text(result.engine_fingerprint);
  writer.text(result.sandbox_json);
  writer.raw(result.code);
  return bytes;
}

std::string encode_compile_error(const Error& error) {
  std::string bytes;
  ByteWriter writer(bytes);
  writer.raw(kMagic);
  writer.number(kFailed);
  writer.text(error.wire_code());
  writer.text(error.message);
  writer.text(error.detail);
  return bytes;
}

Result<CompileResult> parse_compile_result(std::string_view bytes) {
  ByteReader reader(bytes);
  const bool known = reader.raw(kMagic.size()) == kMagic;
  const auto outcome = reader.number<std::uint8_t>();
  if (known && outcome == kFailed) {
    const std::string_view wire_code = reader.text();
    std::string message(reader.text());
    std::string detail(reader.text());
    if (!reader.ok_and_done()) return fail(ErrorCode::kInternal, "", "malformed answer of the compiler");
    ErrorCode code = ErrorCode::kModuleRejected;
    for (const ErrorCode one : {ErrorCode::kAbiMissingExport, ErrorCode::kUnavailable}) {
      if (wire_code == error_info(one).wire_code) code = one;
    }
    return fail(code, std::move(message), std::move(detail));
  }
  CompileResult result;
  result.target = reader.text();
  result.engine_fingerprint = reader.text();
  result.sandbox_json = reader.text();
  if (!known || outcome != kOk || !reader.ok()) {
    return fail(ErrorCode::kInternal, "", "malformed answer of the compiler");
  }
  result.code = bytes.substr(bytes.size() - reader.left());
  return result;
}

}  // namespace bulkhead::protocol
