#include "platform/sql/transaction.h"

#include <cmath>
#include <exception>

#include "base/utf8.h"

namespace bulkhead::sql {
namespace {

// What one of the engines can't hold, neither takes: PostgreSQL has no NUL and no invalid UTF-8 in text, SQLite turns
// NaN into NULL.
Status check_storable(const Values& values) {
  for (const Value& value : values) {
    if (const auto* text = std::get_if<std::string>(&value.held())) {
      if (text->find('\0') != std::string::npos || !is_valid_utf8(*text)) {
        return fail(ErrorCode::kBadRequest, "Text must be UTF-8 without NUL characters.");
      }
    } else if (const auto* number = std::get_if<double>(&value.held()); number != nullptr && !std::isfinite(*number)) {
      return fail(ErrorCode::kBadRequest, "Numbers must be finite.");
    }
  }
  return {};
}

}  // namespace

Result<Rows> Transaction::query(std::string_view statement, const Values& values) {
  BH_TRY(Outcome outcome, run_unless_failed(statement, values));
  return std::move(outcome.rows);
}

Result<std::int64_t> Transaction::execute(std::string_view statement, const Values& values) {
  BH_TRY(const Outcome outcome, run_unless_failed(statement, values));
  return outcome.changed;
}

Result<Transaction::Outcome> Transaction::run_unless_failed(std::string_view statement, const Values& values) {
  if (failure_) return fail(*failure_);
  if (Status storable = check_storable(values); !storable) {
    failure_ = storable.error();
    return fail(std::move(storable.error()));
  }
  Result<Outcome> outcome = run(statement, values);
  if (!outcome) failure_ = outcome.error();
  return outcome;
}

Status Transaction::perform(Database::Work& work) {
  failure_.reset();
  try {
    BH_TRY_VOID(work(*this));
  } catch (const std::exception& escaped) {
    return fail(ErrorCode::kInternal, {}, std::string("exception in a transaction: ") + escaped.what());
  }
  if (failure_) return fail(std::move(*failure_));
  return {};
}

}  // namespace bulkhead::sql
