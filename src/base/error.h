// Errors as values: Result<T> is what every fallible function returns.
//
// An Error carries a code from the one registry (error_codes.def: wire code, HTTP status, title, what to do), a
// `message` that may be shown to the caller, and a `detail` that goes to logs only (SQL text, paths, errno): nothing
// secret belongs in either. Exceptions of third-party code are caught at its border and turned into an Error.
// Plain values; safe to pass between threads.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead {

enum class ErrorCode : std::uint16_t {
#define BH_ERROR(id, wire, status, title, action) id,
#include "base/error_codes.def"
#undef BH_ERROR
};

// One row of the registry.
struct ErrorInfo {
  std::string_view identifier;  // "kBadRequest"
  std::string_view wire_code;   // "bad_request"
  int http_status;
  std::string_view title;
  std::string_view action;  // what the caller can do
};

const ErrorInfo& error_info(ErrorCode code);
std::vector<ErrorInfo> all_error_info();

// A problem at one place of a document; `pointer` is an RFC 6901 JSON pointer ("/api/endpoints/0/path").
struct FieldError {
  std::string pointer;
  std::string message;
  bool operator==(const FieldError&) const = default;
};

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;             // shown to the caller; empty = the registry's title
  std::string detail;              // logs only
  std::vector<FieldError> fields;  // RFC 9457 `errors` member
  std::shared_ptr<const Error> cause;
  std::int64_t retry_after_ms = 0;  // > 0: sent as retry-after (rounded up to seconds)

  int http_status() const { return error_info(code).http_status; }
  std::string_view wire_code() const { return error_info(code).wire_code; }
  // "wire_code: message (detail) <- cause": for logs.
  std::string to_log_string() const;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// `return fail(ErrorCode::kNotFound, "There is no extension com.example.x");`
std::unexpected<Error> fail(ErrorCode code, std::string message = {}, std::string detail = {});
// Passes an error on, e.g. `if (!row) return fail(row.error());`
inline std::unexpected<Error> fail(Error error) { return std::unexpected<Error>(std::move(error)); }
// Wraps `cause` in an error with its own code and message.
std::unexpected<Error> fail_because(ErrorCode code, std::string message, Error cause);

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace bulkhead

// For our own bugs only, never for input: ends the process with the expression and place.
#define BH_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::bulkhead::assertion_failed(#expression, __FILE__, __LINE__))

// Unwraps a Result or returns its error: `BH_TRY(auto row, tx.query_one(...));` (also for Status: BH_TRY_VOID).
#define BH_TRY_CONCAT_(a, b) a##b
#define BH_TRY_NAME_(line) BH_TRY_CONCAT_(bh_try_, line)
#define BH_TRY(declaration, expression)                                                            \
  auto BH_TRY_NAME_(__LINE__) = (expression);                                                      \
  if (!BH_TRY_NAME_(__LINE__)) return ::bulkhead::fail(std::move(BH_TRY_NAME_(__LINE__).error())); \
  declaration = std::move(*BH_TRY_NAME_(__LINE__))
#define BH_TRY_VOID(expression) \
  if (auto bh_status = (expression); !bh_status) return ::bulkhead::fail(std::move(bh_status.error()))
// The same inside coroutines.
#define BH_CO_TRY(declaration, expression)                                                            \
  auto BH_TRY_NAME_(__LINE__) = (expression);                                                         \
  if (!BH_TRY_NAME_(__LINE__)) co_return ::bulkhead::fail(std::move(BH_TRY_NAME_(__LINE__).error())); \
  declaration = std::move(*BH_TRY_NAME_(__LINE__))
#define BH_CO_TRY_VOID(expression) \
  if (auto bh_status = (expression); !bh_status) co_return ::bulkhead::fail(std::move(bh_status.error()))
