// Source code of a type for an extension's settings, made from the `config` schema of its manifest.
//
// Of JSON Schema it knows what settings are made of: objects with properties, required, arrays, strings and their
// enums, integers, numbers, booleans, defaults, descriptions. Everything else becomes the language's "any JSON".
#pragma once

#include <string>

#include "base/json.h"

namespace bulkhead::cli {

enum class TypeLanguage : std::uint8_t { kTypeScript, kAssemblyScript, kRust };

// kUnprocessable when the schema is not that of an object, or a property's name is no name in the language.
Result<std::string> config_types(const json::value& schema, TypeLanguage language);

}  // namespace bulkhead::cli
