#include "platform/sql/value.h"

namespace bulkhead::sql {

std::int64_t Row::integer(std::size_t column) const {
  const auto* number = std::get_if<std::int64_t>(&at(column).held());
  BH_ASSERT(number != nullptr);
  return *number;
}

double Row::real(std::size_t column) const {
  // An expression such as SUM(real) + 0 may come back as an integer on SQLite.
  if (const auto* whole = std::get_if<std::int64_t>(&at(column).held())) return static_cast<double>(*whole);
  const auto* number = std::get_if<double>(&at(column).held());
  BH_ASSERT(number != nullptr);
  return *number;
}

const std::string& Row::text(std::size_t column) const {
  const auto* text = std::get_if<std::string>(&at(column).held());
  BH_ASSERT(text != nullptr);
  return *text;
}

const std::string& Row::blob(std::size_t column) const {
  const auto* blob = std::get_if<Blob>(&at(column).held());
  BH_ASSERT(blob != nullptr);
  return blob->bytes;
}

std::optional<std::string> Row::optional_text(std::size_t column) const {
  if (is_null(column)) return std::nullopt;
  return text(column);
}

std::optional<std::int64_t> Row::optional_integer(std::size_t column) const {
  if (is_null(column)) return std::nullopt;
  return integer(column);
}

ContentHash Row::hash(std::size_t column) const {
  const auto parsed = ContentHash::parse(text(column));
  BH_ASSERT(parsed.has_value());
  return *parsed;
}

}  // namespace bulkhead::sql
