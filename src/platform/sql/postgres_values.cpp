#include "platform/sql/postgres_values.h"

#include <charconv>

#include "base/bytes.h"

namespace bulkhead::sql {
namespace {

// Object identifiers of built-in types: PostgreSQL's catalog/pg_type.dat; they never change.
constexpr Oid kBool = 16;
constexpr Oid kBytea = 17;
constexpr Oid kInt8 = 20;
constexpr Oid kInt2 = 21;
constexpr Oid kInt4 = 23;
constexpr Oid kOid = 26;
constexpr Oid kFloat4 = 700;
constexpr Oid kFloat8 = 701;
constexpr Oid kNumeric = 1700;
constexpr Oid kUnknown = 0;

template <typename T>
std::string number_text(T number) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
  return {buffer.data(), end};
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Value parse_real(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  BH_ASSERT(error == std::errc() && end == text.data() + text.size());
  return number;
}

Value column_value(Oid type, std::string_view text) {
  switch (type) {
    case kBool:
      return text == "t";
    case kInt2:
    case kInt4:
    case kInt8:
    case kOid: {
      const auto number = parse_integer(text);
      BH_ASSERT(number.has_value());
      return *number;
    }
    case kNumeric:  // SUM of BIGINT is NUMERIC here and an integer on SQLite
      if (const auto number = parse_integer(text)) return *number;
      return parse_real(text);
    case kFloat4:
    case kFloat8:
      return parse_real(text);
    case kBytea: {
      BH_ASSERT(text.starts_with("\\x"));  // bytea_output = hex, set by the connection
      auto bytes = hex_decode(text.substr(2));
      BH_ASSERT(bytes.has_value());
      return Blob{std::move(*bytes)};
    }
    default:
      return text;
  }
}

}  // namespace

PostgresParameters::PostgresParameters(const Values& values) {
  texts_.reserve(values.size());  // pointers into it must stay
  for (const Value& value : values) {
    const Value::Held& held = value.held();
    std::string_view text;
    int format = 0;
    if (const auto* number = std::get_if<std::int64_t>(&held)) {
      text = texts_.emplace_back(number_text(*number));
    } else if (const auto* real = std::get_if<double>(&held)) {
      text = texts_.emplace_back(number_text(*real));
    } else if (const auto* string = std::get_if<std::string>(&held)) {
      text = *string;
    } else if (const auto* blob = std::get_if<Blob>(&held)) {
      text = blob->bytes;
      format = 1;
    }
    pointers_.push_back(value.is_null() ? nullptr : text.data());
    lengths_.push_back(static_cast<int>(text.size()));
    formats_.push_back(format);
  }
}

std::vector<Oid> parameter_types(const Values& values) {
  std::vector<Oid> types;
  for (const Value& value : values) {
    const Value::Held& held = value.held();
    if (std::holds_alternative<std::int64_t>(held)) {
      types.push_back(kInt8);
    } else if (std::holds_alternative<double>(held)) {
      types.push_back(kFloat8);
    } else if (std::holds_alternative<Blob>(held)) {
      types.push_back(kBytea);
    } else {
      types.push_back(kUnknown);
    }
  }
  return types;
}

std::string type_signature(const Values& values) {
  // In the order of Value::Held. Null is declared like text.
  static constexpr std::string_view kLetters = "tidtb";
  std::string signature;
  for (const Value& value : values) signature += kLetters[value.held().index()];
  return signature;
}

Rows result_rows(const PGresult* result) {
  const int columns = PQnfields(result);
  const int count = PQntuples(result);
  Rows rows;
  rows.reserve(static_cast<std::size_t>(count));
  for (int row = 0; row < count; ++row) {
    Values values;
    values.reserve(static_cast<std::size_t>(columns));
    for (int column = 0; column < columns; ++column) {
      if (PQgetisnull(result, row, column) != 0) {
        values.emplace_back();
        continue;
      }
      const std::string_view text(PQgetvalue(result, row, column),
                                  static_cast<std::size_t>(PQgetlength(result, row, column)));
      values.push_back(column_value(PQftype(result, column), text));
    }
    rows.emplace_back(std::move(values));
  }
  return rows;
}

}  // namespace bulkhead::sql
