// SQL values and rows, the same on both engines: null, 64-bit integer, double, text, blob.
// Conventions of the dialect-neutral subset: ids and JSON are TEXT, times are BIGINT microseconds UTC, booleans are
// BIGINT 0/1, binary is BLOB/BYTEA.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"

namespace bulkhead::sql {

struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};

class Value {
 public:
  Value() = default;  // null
  Value(std::nullptr_t) {}
  Value(std::int64_t number) : held_(number) {}
  Value(int number) : held_(std::int64_t{number}) {}
  Value(std::uint32_t number) : held_(std::int64_t{number}) {}
  Value(std::uint64_t number) : held_(static_cast<std::int64_t>(number)) {}
  Value(bool flag) : held_(std::int64_t{flag ? 1 : 0}) {}
  Value(double number) : held_(number) {}
  Value(std::string text) : held_(std::move(text)) {}
  Value(std::string_view text) : held_(std::string(text)) {}
  Value(const char* text) : held_(std::string(text)) {}
  Value(Blob blob) : held_(std::move(blob)) {}
  Value(UtcMicros time) : held_(time.value) {}
  Value(const ContentHash& hash) : held_(hash.to_string()) {}
  template <typename Tag>
  Value(const Id<Tag>& id) : held_(id.to_string()) {}
  template <typename T>
  Value(const std::optional<T>& value) {
    if (value) *this = Value(*value);
  }

  using Held = std::variant<std::monostate, std::int64_t, double, std::string, Blob>;
  const Held& held() const { return held_; }
  bool is_null() const { return std::holds_alternative<std::monostate>(held_); }

 private:
  Held held_;
};
using Values = std::vector<Value>;

// One result row. Accessors assert the column's type: the schema is ours, so a mismatch is a bug.
class Row {
 public:
  explicit Row(Values values) : values_(std::move(values)) {}
  std::size_t size() const { return values_.size(); }
  const Value& at(std::size_t column) const { return values_.at(column); }
  bool is_null(std::size_t column) const { return at(column).is_null(); }
  std::int64_t integer(std::size_t column) const;
  double real(std::size_t column) const;
  bool boolean(std::size_t column) const { return integer(column) != 0; }
  const std::string& text(std::size_t column) const;
  const std::string& blob(std::size_t column) const;
  UtcMicros time(std::size_t column) const { return {integer(column)}; }
  std::optional<std::string> optional_text(std::size_t column) const;
  std::optional<std::int64_t> optional_integer(std::size_t column) const;
  ContentHash hash(std::size_t column) const;
  template <typename IdType>
  IdType id(std::size_t column) const {
    const auto parsed = IdType::parse(text(column));
    BH_ASSERT(parsed.has_value());
    return *parsed;
  }

 private:
  Values values_;
};
using Rows = std::vector<Row>;

}  // namespace bulkhead::sql
