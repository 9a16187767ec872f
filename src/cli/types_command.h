// `bulkhead ext types`: a type of the author's language for the install's settings, from the manifest's config schema.
#pragma once

#include <string>

#include "cli/command.h"

namespace bulkhead::cli {

struct TypesOptions {
  std::string folder = ".";
  std::string language = "typescript";  // typescript, assemblyscript or rust
  std::string out;                      // empty: standard output
};
int run_types(const Globals& globals, const TypesOptions& options);

}  // namespace bulkhead::cli
