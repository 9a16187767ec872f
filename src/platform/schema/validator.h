// JSON Schema, draft 2020-12: for manifests, settings of installs, the guest ABI and events.
//
// Schemas may come from strangers (an extension's `config`): they are bounded in size and depth, references stay in the
// document, and a schema whose evaluation might not end or take exponential time is refused (native/src/
// schema_limits.rs). `format` is checked. Messages never quote the validated value.
// A Validator is immutable; any thread. Compiling a small schema takes about 10 µs, validating a small document less
// than 1.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

struct bh_schema;

namespace bulkhead::schema {

inline constexpr Bytes kMaxSchema = 256_KiB;
inline constexpr Bytes kMaxDocument = 4_MiB;
inline constexpr std::size_t kMaxProblems = 50;

class Validator {
 public:
  // kUnprocessable, with one FieldError whose pointer leads into the schema.
  static Result<Validator> compile(std::string_view schema_json);

  // Empty: valid. Else at most kMaxProblems, with pointers into the document ("" for one that is not JSON).
  std::vector<FieldError> validate(std::string_view document_json) const;

 private:
  struct Delete {
    void operator()(bh_schema* schema) const;
  };
  using Native = std::unique_ptr<bh_schema, Delete>;
  explicit Validator(Native native) : native_(std::move(native)) {}

  Native native_;
};

// Whether `schema_json` could be compiled; errors as Validator::compile.
Status check_schema(std::string_view schema_json);

}  // namespace bulkhead::schema
