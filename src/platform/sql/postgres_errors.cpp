#include "platform/sql/postgres_errors.h"

#include <algorithm>
#include <array>

namespace bulkhead::sql {
namespace {

struct Meaning {
  std::string_view state;  // a whole code, or a class of two characters
  ErrorCode code;
  std::string_view message;
};

// Whole codes before their class.
constexpr std::array kMeanings = {
    Meaning{"23505", ErrorCode::kAlreadyExists, ""},
    Meaning{"23", ErrorCode::kConflict, ""},     // other integrity constraints
    Meaning{"P0001", ErrorCode::kConflict, ""},  // raised by a trigger
    Meaning{"22021", ErrorCode::kBadRequest, "Text must be UTF-8 without NUL characters."},
    Meaning{"40001", ErrorCode::kStoreUnavailable, "The database is too busy."},  // when retries did not help
    Meaning{"40P01", ErrorCode::kStoreUnavailable, "The database is too busy."},
    Meaning{"55P03", ErrorCode::kStoreUnavailable, "The database is too busy."},
    Meaning{"57014", ErrorCode::kStoreUnavailable, "The statement took too long."},
    Meaning{"53100", ErrorCode::kStorageFull, ""},
    Meaning{"53", ErrorCode::kStoreUnavailable, ""},  // out of memory, connections, …
    Meaning{"58", ErrorCode::kStoreUnavailable, ""},  // I/O error of the server
    Meaning{"54", ErrorCode::kPayloadTooLarge, ""},
    Meaning{"25006", ErrorCode::kInternal, "A read transaction may not write."},
};

}  // namespace

Error error_for_state(std::string_view state, std::string detail) {
  const auto* found = std::ranges::find_if(kMeanings, [&](const Meaning& one) { return state.starts_with(one.state); });
  if (found == kMeanings.end()) return fail(ErrorCode::kInternal, {}, std::move(detail)).error();
  return fail(found->code, std::string(found->message), std::move(detail)).error();
}

bool is_serialization_state(std::string_view state) { return state == "40001" || state == "40P01"; }

bool ends_connection(std::string_view state, std::string_view message) {
  return state.starts_with("08") || state == "57P01" || state == "57P02" || state == "57P03" || state == "57P05" ||
         state == "25P03" ||  // idle in a transaction for too long
         state == "26000" ||  // a prepared statement is gone
         message.starts_with("cached plan must not change result type");
}

}  // namespace bulkhead::sql
