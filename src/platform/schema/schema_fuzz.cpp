// Schemas from extensions. What is accepted must evaluate any document (itself, for one) to an end.
#include "platform/schema/validator.h"

using namespace bulkhead::schema;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto validator = Validator::compile(text);
  if (!validator) return 0;
  for (const std::string_view document : {text, std::string_view("{\"a\":[{\"a\":[1,\"aa\",null]}]}")}) {
    if (validator->validate(document).size() > kMaxProblems) __builtin_trap();
  }
  return 0;
}
