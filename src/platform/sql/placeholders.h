// Finds the $1, $2, … placeholders of a statement. String literals, quoted identifiers and comments are skipped.
// Statements are our own source text, so this knows the dialect-neutral subset only (no dollar quoting, no E'..').
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::sql {

struct Placeholder {
  std::size_t offset = 0;  // of the '$'
  int number = 0;
};

std::vector<Placeholder> find_placeholders(std::string_view statement);

// The statement uses exactly $1 … $count, each at least once.
bool uses_exactly(const std::vector<Placeholder>& placeholders, std::size_t count);

// `$N` becomes `?N`: on SQLite `$1` is a name, numbered by where it first occurs, and `?1` is the number itself.
std::string to_sqlite_placeholders(std::string_view statement, const std::vector<Placeholder>& placeholders);

}  // namespace bulkhead::sql
