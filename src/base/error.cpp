#include "base/error.h"

#include <array>
#include <cstdio>
#include <cstdlib>

namespace bulkhead {
namespace {

constexpr std::array kRegistry = {
#define BH_ERROR(id, wire, status, title, action) ErrorInfo{#id, wire, status, title, action},
#include "base/error_codes.def"
#undef BH_ERROR
};

}  // namespace

const ErrorInfo& error_info(ErrorCode code) { return kRegistry.at(static_cast<std::size_t>(code)); }

std::vector<ErrorInfo> all_error_info() { return {kRegistry.begin(), kRegistry.end()}; }

std::string Error::to_log_string() const {
  std::string text(wire_code());
  text += ": ";
  text += message.empty() ? error_info(code).title : std::string_view(message);
  if (!detail.empty()) text += " (" + detail + ")";
  if (cause) text += " <- " + cause->to_log_string();
  return text;
}

std::unexpected<Error> fail(ErrorCode code, std::string message, std::string detail) {
  return std::unexpected<Error>(
      Error{.code = code, .message = std::move(message), .detail = std::move(detail), .fields = {}, .cause = {}});
}

std::unexpected<Error> fail_because(ErrorCode code, std::string message, Error cause) {
  return std::unexpected<Error>(Error{.code = code,
                                      .message = std::move(message),
                                      .detail = {},
                                      .fields = {},
                                      .cause = std::make_shared<const Error>(std::move(cause))});
}

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "assertion failed: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace bulkhead
