// SQL values on the wire of PostgreSQL: parameters in text format (bytes in binary), results in text format.
#pragma once

#include <libpq-fe.h>

#include <string>
#include <vector>

#include "platform/sql/value.h"

namespace bulkhead::sql {

// The arrays that libpq wants. Points into the values and into itself: keep both until the call returns.
class PostgresParameters {
 public:
  explicit PostgresParameters(const Values& values);
  PostgresParameters(const PostgresParameters&) = delete;
  PostgresParameters& operator=(const PostgresParameters&) = delete;

  int count() const { return static_cast<int>(pointers_.size()); }
  const char* const* pointers() const { return pointers_.data(); }
  const int* lengths() const { return lengths_.data(); }
  const int* formats() const { return formats_.data(); }

 private:
  std::vector<std::string> texts_;
  std::vector<const char*> pointers_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
};

// Types for Parse: numbers and bytes are declared, so that `$1 - 1000` is 64-bit arithmetic; text is left to the
// server, which takes the column's type.
std::vector<Oid> parameter_types(const Values& values);
// One letter a value; statements are prepared once per signature.
std::string type_signature(const Values& values);

Rows result_rows(const PGresult* result);

}  // namespace bulkhead::sql
