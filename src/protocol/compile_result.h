// What the compiler child leaves in its output file, and `serve` reads: code, or why there is none.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace bulkhead::protocol {

struct CompileResult {
  std::string target;  // "x86_64-linux-gnu"
  std::string engine_fingerprint;
  std::string sandbox_json;  // the walls around the compiler: sandbox_layers.h
  std::string_view code;     // into the parsed bytes, or what is to be encoded; empty for a description
};

std::string encode_compile_result(const CompileResult& result);
std::string encode_compile_error(const Error& error);
// The child's error as it was (its code if it is one that a compiler may give, else kModuleRejected), or kInternal when
// the bytes are malformed.
Result<CompileResult> parse_compile_result(std::string_view bytes);

}  // namespace bulkhead::protocol
