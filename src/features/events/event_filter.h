// EventFilter: which events of a topic a subscription wants. A small JSON language, compiled once:
//
//   {"statement.total": {"gt": 100}, "statement.currency": {"in": ["EUR", "CHF"]}, "draft": false}
//
// An object of conditions, each named by the path of a payload member (names joined by dots); all must hold. A
// condition is a scalar (equal to it) or an object of operators that must all hold: eq, ne, in, exists, prefix, gt,
// gte, lt, lte. Numbers are compared by value, texts by bytes, and values of different kinds are neither equal nor
// ordered. Where the member is an array, a condition holds when one element meets all its operators; ne, when none is
// equal. A missing member meets only {"exists": false} and ne. {} wants everything.
//
// Bounds: 4 KiB, 32 conditions, 64 values in one list, 16 names in a path. Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace bulkhead::events {

class EventFilter {
 public:
  static constexpr std::size_t kMaxText = 4'096;
  static constexpr std::size_t kMaxConditions = 32;
  static constexpr std::size_t kMaxListed = 64;
  static constexpr std::size_t kMaxPath = 16;

  // kUnprocessable with a FieldError for each problem; its pointers start with `pointer`.
  static Result<EventFilter> parse(std::string_view text, std::string_view pointer = "/filter");
  static Result<EventFilter> compile(const json::value& document, std::string_view pointer = "/filter");

  bool matches(const json::value& payload) const;

 private:
  enum class Operator : std::uint8_t { kEqual, kNotEqual, kIn, kPrefix, kGreater, kAtLeast, kLess, kAtMost };
  struct Test {
    Operator op = Operator::kEqual;
    std::vector<json::value> values;  // scalars; kIn has several, the others one
  };
  enum class Presence : std::uint8_t { kAny, kPresent, kAbsent };
  struct Condition {
    std::vector<std::string> path;
    Presence presence = Presence::kAny;
    std::vector<Test> tests;
  };
  class Compiler;

  static bool holds(const Test& test, const json::value& value);
  static bool holds(const Condition& condition, const json::value* member);

  std::vector<Condition> conditions_;
};

}  // namespace bulkhead::events
