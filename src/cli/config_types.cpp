#include "cli/config_types.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace bulkhead::cli {
namespace {

enum class Kind : std::uint8_t { kAny, kString, kInteger, kNumber, kBoolean, kArray, kObject };

std::string text_member(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

Kind kind_of(const json::object& schema) {
  const std::string type = text_member(schema, "type");
  if (type == "string") return Kind::kString;
  if (type == "integer") return Kind::kInteger;
  if (type == "number") return Kind::kNumber;
  if (type == "boolean") return Kind::kBoolean;
  if (type == "array") return Kind::kArray;
  const json::value* properties = schema.if_contains("properties");
  return type == "object" && properties != nullptr && properties->is_object() ? Kind::kObject : Kind::kAny;
}

const json::object& object_member(const json::object& schema, std::string_view name) {
  static const json::object none;
  const json::value* found = schema.if_contains(name);
  return found != nullptr && found->is_object() ? found->get_object() : none;
}

bool is_required(const json::object& schema, std::string_view name) {
  const json::value* required = schema.if_contains("required");
  return required != nullptr && required->is_array() &&
         std::ranges::any_of(required->get_array(), [name](const json::value& item) {
           return item.is_string() && std::string_view(item.get_string()) == name;
         });
}

// The default as it stands in the schema, if it is of the property's own kind.
const json::value* default_of(const json::object& schema) {
  const json::value* found = schema.if_contains("default");
  if (found == nullptr) return nullptr;
  switch (kind_of(schema)) {
    case Kind::kString:
      return found->is_string() ? found : nullptr;
    case Kind::kInteger:
      return found->is_int64() || found->is_uint64() ? found : nullptr;
    case Kind::kNumber:
      return found->is_number() ? found : nullptr;
    case Kind::kBoolean:
      return found->is_bool() ? found : nullptr;
    default:
      return nullptr;
  }
}

// "target_url" → "TargetUrl"
std::string pascal_case(std::string_view name) {
  std::string text;
  bool upper = true;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) {
      upper = true;
      continue;
    }
    text += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return text;
}

bool is_name(std::string_view name) {
  static constexpr std::string_view kReserved[] = {
      "as",     "break",  "class",  "const", "continue", "crate", "default", "delete", "do",     "dyn",  "else",
      "enum",   "export", "false",  "fn",    "for",      "if",    "impl",    "import", "in",     "let",  "loop",
      "match",  "mod",    "move",   "mut",   "new",      "null",  "pub",     "ref",    "return", "self", "static",
      "struct", "super",  "switch", "this",  "throw",    "trait", "true",    "try",    "type",   "use",  "var",
      "void",   "where",  "while",  "with",  "yield",    "async", "await"};
  if (name.empty() || (std::isdigit(static_cast<unsigned char>(name.front())) != 0)) return false;
  return std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; }) &&
         std::ranges::find(kReserved, name) == std::end(kReserved);
}

class TypeWriter {
 public:
  explicit TypeWriter(TypeLanguage language) : language_(language) {}

  Status add(const std::string& name, const json::object& schema) {
    std::vector<std::pair<std::string, const json::object*>> below;
    std::string body, readers;
    for (const auto& member : object_member(schema, "properties")) {
      const std::string_view property = member.key();
      if (!is_name(property)) {
        return fail(ErrorCode::kUnprocessable, "The setting \"" + std::string(property) + "\" is no name in the code.");
      }
      static const json::object any;
      const json::object& type = member.value().is_object() ? member.value().get_object() : any;
      const std::string type_name = name + pascal_case(property);
      if (const json::object* object = object_of(type)) {
        below.emplace_back(kind_of(type) == Kind::kArray ? type_name + "Item" : type_name, object);
      }
      body += comment(text_member(type, "description"));
      body += field(property, type, type_name, is_required(schema, property));
      readers += reader(property, type, type_name);
    }
    text_ = declaration(name, text_member(schema, "description"), body, readers) + text_;
    for (const auto& [type_name, object] : below) BH_TRY_VOID(add(type_name, *object));
    return {};
  }

  std::string finish() const {
    const std::string made = "// Made by `bulkhead ext types` from manifest.json: change it there.\n";
    switch (language_) {
      case TypeLanguage::kAssemblyScript:
        return made + "import { Json } from \"@bulkhead/assemblyscript\";\n" + text_;
      case TypeLanguage::kRust:
        return made + text_ + (defaults_.empty() ? "" : "\n" + defaults_);
      default:
        return made + text_;
    }
  }

 private:
  // The object that a property is, or is an array of.
  static const json::object* object_of(const json::object& type) {
    if (kind_of(type) == Kind::kObject) return &type;
    if (kind_of(type) != Kind::kArray) return nullptr;
    const json::object& items = object_member(type, "items");
    return kind_of(items) == Kind::kObject ? &items : nullptr;
  }

  std::string type_text(const json::object& type, const std::string& type_name) const {
    const bool rust = language_ == TypeLanguage::kRust;
    const bool assembly = language_ == TypeLanguage::kAssemblyScript;
    switch (kind_of(type)) {
      case Kind::kString:
        return rust ? "String" : assembly ? "string" : string_type(type);
      case Kind::kInteger:
        return rust || assembly ? "i64" : "number";
      case Kind::kNumber:
        return rust || assembly ? "f64" : "number";
      case Kind::kBoolean:
        return rust || assembly ? "bool" : "boolean";
      case Kind::kObject:
        return type_name;
      case Kind::kArray: {
        const std::string item = type_text(object_member(type, "items"), type_name + "Item");
        if (rust) return "Vec<" + item + ">";
        return item.find(' ') == std::string::npos ? item + "[]" : "(" + item + ")[]";
      }
      case Kind::kAny:
        break;
    }
    return rust ? "serde_json::Value" : assembly ? "Json" : "unknown";
  }

  // A union of the enum's texts, where there is one.
  static std::string string_type(const json::object& type) {
    const json::value* values = type.if_contains("enum");
    if (values == nullptr || !values->is_array() || values->get_array().empty()) return "string";
    std::string text;
    for (const json::value& value : values->get_array()) {
      if (!value.is_string()) return "string";
      text += (text.empty() ? "" : " | ") + json::serialize(value);
    }
    return text;
  }

  std::string comment(const std::string& description) const {
    if (description.empty()) return "";
    std::string line = description;
    std::ranges::replace(line, '\n', ' ');
    while (line.find("*/") != std::string::npos) line.replace(line.find("*/"), 2, "* /");
    return language_ == TypeLanguage::kRust ? "    /// " + line + "\n" : "  /** " + line + " */\n";
  }

  std::string field(std::string_view property, const json::object& type, const std::string& type_name, bool required) {
    const std::string name(property);
    const std::string text = type_text(type, type_name);
    const json::value* fallback = default_of(type);
    if (language_ == TypeLanguage::kTypeScript) {
      return "  " + name + (required ? ": " : "?: ") + text + ";" +
             (fallback != nullptr ? " // default: " + json::serialize(*fallback) : "") + "\n";
    }
    if (language_ == TypeLanguage::kAssemblyScript) return "  " + name + ": " + text + " = " + zero(type, text) + ";\n";
    if (required) return "    pub " + name + ": " + text + ",\n";
    if (fallback == nullptr) {
      return "    #[serde(default)]\n    pub " + name + ": " +
             (kind_of(type) == Kind::kArray ? text : "Option<" + text + ">") + ",\n";
    }
    std::string function = "default_" + type_name;
    std::ranges::transform(function, function.begin(), [](unsigned char c) { return std::tolower(c); });
    defaults_ += "fn " + function + "() -> " + text + " {\n    " + rust_value(type, *fallback) + "\n}\n";
    return "    #[serde(default = \"" + function + "\")]\n    pub " + name + ": " + text + ",\n";
  }

  static std::string rust_value(const json::object& type, const json::value& value) {
    if (kind_of(type) == Kind::kString) return "String::from(" + json::serialize(value) + ")";
    if (kind_of(type) == Kind::kNumber && !value.is_double()) return json::serialize(value) + ".0";
    return json::serialize(value);
  }

  // What an AssemblyScript field begins as: the default, or nothing.
  static std::string zero(const json::object& type, const std::string& text) {
    if (const json::value* fallback = default_of(type)) return json::serialize(*fallback);
    switch (kind_of(type)) {
      case Kind::kString:
        return "\"\"";
      case Kind::kInteger:
      case Kind::kNumber:
        return "0";
      case Kind::kBoolean:
        return "false";
      case Kind::kArray:
        return "[]";
      case Kind::kObject:
        return "new " + text + "()";
      case Kind::kAny:
        break;
    }
    return "Json.none";
  }

  // The line of AssemblyScript's `of` that reads a property.
  std::string reader(std::string_view property, const json::object& type, const std::string& type_name) const {
    if (language_ != TypeLanguage::kAssemblyScript) return "";
    const std::string name(property);
    const std::string from = "json.get(\"" + name + "\")";
    const std::string to = "value." + name;
    if (kind_of(type) != Kind::kArray) return "    " + to + " = " + read_value(type, type_name, from, to) + ";\n";
    const std::string item = read_value(object_member(type, "items"), type_name + "Item", from + ".at(i)", "");
    return "    for (let i = 0; i < " + from + ".length; ++i) " + to + ".push(" + item + ");\n";
  }

  static std::string read_value(const json::object& type, const std::string& type_name, const std::string& from,
                                const std::string& fallback) {
    switch (kind_of(type)) {
      case Kind::kString:
        return from + ".asString(" + (fallback.empty() ? "\"\"" : fallback) + ")";
      case Kind::kInteger:
        return from + ".asInteger(" + (fallback.empty() ? "0" : fallback) + ")";
      case Kind::kNumber:
        return from + ".asNumber(" + (fallback.empty() ? "0" : fallback) + ")";
      case Kind::kBoolean:
        return from + ".asBoolean(" + (fallback.empty() ? "false" : fallback) + ")";
      case Kind::kObject:
        return type_name + ".of(" + from + ")";
      default:
        return from;
    }
  }

  std::string declaration(const std::string& name, const std::string& description, const std::string& body,
                          const std::string& readers) const {
    std::string about = description.empty() ? "The install's settings." : description;
    std::ranges::replace(about, '\n', ' ');
    if (language_ == TypeLanguage::kRust) {
      return "\n/// " + about + "\n#[derive(Clone, Debug, serde::Deserialize)]\npub struct " + name + " {\n" + body +
             "}\n";
    }
    while (about.find("*/") != std::string::npos) about.replace(about.find("*/"), 2, "* /");
    if (language_ == TypeLanguage::kTypeScript) {
      return "\n/** " + about + " */\nexport interface " + name + " {\n" + body + "}\n";
    }
    return "\n/** " + about + " Read it by `" + name + ".of(request.context.get(\"config\"))`. */\nexport class " +
           name + " {\n" + body + "\n  static of(json: Json): " + name + " {\n    const value = new " + name + "();\n" +
           readers + "    return value;\n  }\n}\n";
  }

  TypeLanguage language_;
  std::string text_;
  std::string defaults_;  // Rust's functions for #[serde(default)]
};

}  // namespace

Result<std::string> config_types(const json::value& schema, TypeLanguage language) {
  if (!schema.is_object() || kind_of(schema.get_object()) != Kind::kObject) {
    return fail(ErrorCode::kUnprocessable, "The manifest's config is not the schema of an object with properties.");
  }
  TypeWriter writer(language);
  BH_TRY_VOID(writer.add("Config", schema.get_object()));
  return writer.finish();
}

}  // namespace bulkhead::cli
