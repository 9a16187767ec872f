#include "server/config.h"

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <set>

#include "base/json.h"
#include "server/listen_socket.h"

namespace bulkhead::server {
namespace {

struct Loader {
  std::map<std::string_view, Explained> values;
  std::vector<std::string> problems;
  plans::Plans plans;

  void problem(const std::string& place, const std::string& text) { problems.push_back(place + ": " + text); }
};

const Setting* find_setting(std::string_view key) {
  const auto found = std::ranges::find(settings(), key, &Setting::key);
  return found == settings().end() ? nullptr : &*found;
}

std::string unknown_setting(std::string_view key) {
  std::vector<std::string_view> known;
  for (const Setting& setting : settings()) known.push_back(setting.key);
  std::string text = std::string(key) + " is not a known setting";
  if (const auto nearest = nearest_name(key, known)) text += "; did you mean \"" + *nearest + "\"?";
  return text;
}

// What is wrong with the value, or "".
std::string judge(const Setting& setting, const ConfigValue& value) {
  if (value.index() != setting.fallback.index()) {
    constexpr std::array<const char*, 4> kTypes = {"text", "an integer", "true or false", "a list of texts"};
    return std::string(setting.key) + " must be " + kTypes.at(setting.fallback.index());
  }
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    if (*number < setting.least || *number > setting.most) {
      return std::string(setting.key) + " must be from " + std::to_string(setting.least) + " to " +
             std::to_string(setting.most);
    }
  }
  if (const auto* text = std::get_if<std::string>(&value); text != nullptr && !setting.choices.empty()) {
    if (std::ranges::find(setting.choices, *text) == setting.choices.end()) {
      std::string allowed;
      for (const auto choice : setting.choices) allowed += (allowed.empty() ? "" : ", ") + std::string(choice);
      return std::string(setting.key) + " must be one of " + allowed;
    }
  }
  if (const auto* text = std::get_if<std::string>(&value);
      text != nullptr && !text->empty() && setting.key.ends_with(".listen")) {
    if (const auto place = check_listen_address(*text); !place) {
      std::string wrong = std::string(setting.key) + ": " + place.error().message;
      wrong.pop_back();
      return wrong;
    }
  }
  if (const auto* items = std::get_if<std::vector<std::string>>(&value); items != nullptr && !setting.choices.empty()) {
    for (const std::string& item : *items) {
      if (std::ranges::find(setting.choices, item) != setting.choices.end()) continue;
      std::string text = std::string(setting.key) + ": there is no \"" + item + "\"";
      if (const auto nearest = nearest_name(item, setting.choices)) text += "; did you mean \"" + *nearest + "\"?";
      return text;
    }
  }
  return "";
}

void put(Loader& loader, const Setting& setting, ConfigValue value, const std::string& source) {
  if (const std::string wrong = judge(setting, value); !wrong.empty()) {
    loader.problem(source, wrong);
    return;
  }
  loader.values[setting.key] = {&setting, std::move(value), source};
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

// Environment and flags give text; the setting's type says how to read it.
void put_text(Loader& loader, const Setting& setting, const std::string& text, const std::string& source) {
  if (std::holds_alternative<std::string>(setting.fallback)) {
    put(loader, setting, text, source);
  } else if (std::holds_alternative<bool>(setting.fallback)) {
    if (text == "true" || text == "1") {
      put(loader, setting, true, source);
    } else if (text == "false" || text == "0") {
      put(loader, setting, false, source);
    } else {
      loader.problem(source, std::string(setting.key) + " must be true or false");
    }
  } else if (std::holds_alternative<std::int64_t>(setting.fallback)) {
    std::int64_t number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc{} || end != text.data() + text.size()) {
      loader.problem(source, std::string(setting.key) + " must be an integer");
    } else {
      put(loader, setting, number, source);
    }
  } else {
    put(loader, setting, split_list(text), source);
  }
}

std::optional<ConfigValue> from_toml(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto number = node.value_exact<std::int64_t>()) return *number;
  if (const auto flag = node.value_exact<bool>()) return *flag;
  if (const toml::array* array = node.as_array()) {
    std::vector<std::string> items;
    for (const toml::node& item : *array) {
      const auto text = item.value_exact<std::string>();
      if (!text) return std::nullopt;
      items.push_back(*text);
    }
    return items;
  }
  return std::nullopt;
}

// [plans.NAME]: as many as there are names, so no rows of settings().
void read_plan(Loader& loader, const std::string& name, const toml::table& table, const std::string& file) {
  plans::Plan& plan = loader.plans[name];
  for (const auto& [key, node] : table) {
    const std::string place = file + ":" + std::to_string(node.source().begin.line);
    const std::string setting = "plans." + name + "." + std::string(key.str());
    const auto field = std::ranges::find(plans::kPlanFields, key.str(), &plans::PlanField::name);
    const auto number = node.value_exact<std::int64_t>();
    if (field == plans::kPlanFields.end()) {
      std::vector<std::string_view> known;
      for (const auto& one : plans::kPlanFields) known.push_back(one.name);
      const auto nearest = nearest_name(key.str(), known);
      loader.problem(place, setting + " is not a limit of plans" +
                                (nearest ? "; did you mean \"" + *nearest + "\"?" : std::string()));
    } else if (!number || *number < field->least || *number > field->most) {
      loader.problem(place, setting + " must be an integer from " + std::to_string(field->least) + " to " +
                                std::to_string(field->most));
    } else {
      plan.*field->member = *number;
    }
  }
}

void read_plans(Loader& loader, const toml::table& table, const std::string& file) {
  for (const auto& [name, node] : table) {
    if (const toml::table* plan = node.as_table()) {
      read_plan(loader, std::string(name.str()), *plan, file);
    } else {
      loader.problem(file + ":" + std::to_string(node.source().begin.line), "plans holds tables: [plans.NAME]");
    }
  }
}

void read_table(Loader& loader, const toml::table& table, const std::string& prefix, const std::string& file) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    const std::string place = file + ":" + std::to_string(node.source().begin.line);
    if (const toml::table* inner = node.as_table(); inner != nullptr && key == "plans") {
      read_plans(loader, *inner, file);
      continue;
    }
    if (const toml::table* inner = node.as_table()) {
      read_table(loader, *inner, key + ".", file);
      continue;
    }
    const Setting* setting = find_setting(key);
    if (setting == nullptr) {
      loader.problem(place, unknown_setting(key));
      continue;
    }
    if (auto value = from_toml(node)) {
      put(loader, *setting, std::move(*value), place);
    } else {
      loader.problem(place, key + " has a type that no setting has");
    }
  }
}

void read_file(Loader& loader, const std::string& file) {
  std::error_code failure;
  if (const auto kind = std::filesystem::status(file, failure).type(); kind == std::filesystem::file_type::not_found) {
    loader.problem(file, "there is no such file");
    return;
  } else if (kind == std::filesystem::file_type::directory) {
    loader.problem(file, "is a folder");
    return;
  }
  try {
    read_table(loader, toml::parse_file(file), "", file);
  } catch (const toml::parse_error& error) {
    const auto line = error.source().begin.line;
    loader.problem(line == 0 ? file : file + ":" + std::to_string(line), std::string(error.description()));
  }
}

void read_environment(Loader& loader, const std::map<std::string, std::string>& environment) {
  std::set<std::string> known;
  for (const Setting& setting : settings()) {
    std::vector<std::string> names(setting.aliases.begin(), setting.aliases.end());
    names.push_back(setting.environment_name());
    for (const std::string& name : names) {
      known.insert(name);
      if (const auto found = environment.find(name); found != environment.end()) {
        put_text(loader, setting, found->second, "environment " + name);
      }
    }
  }
  // The command line's own, and the build's.
  for (const char* other : {"BULKHEAD_SERVER", "BULKHEAD_TOKEN", "BULKHEAD_ORG", "BULKHEAD_CONFIG", "BULKHEAD_CACHE"}) {
    known.insert(other);
  }
  std::vector<std::string_view> names(known.begin(), known.end());
  for (const auto& [name, value] : environment) {
    if (!name.starts_with("BULKHEAD_") || known.contains(name)) continue;
    std::string text = name + " is not a known setting";
    if (const auto nearest = nearest_name(name, names)) text += "; did you mean " + *nearest + "?";
    loader.problem("environment", text);
  }
}

void assign(Config& config, const Setting& setting, const ConfigValue& value) {
  std::visit(
      [&](auto member) {
        using Held = std::remove_reference_t<decltype(config.*member)>;
        config.*member = std::get<Held>(value);
      },
      setting.member);
}

}  // namespace

std::string Setting::environment_name() const {
  std::string name = "BULKHEAD_";
  for (const char c : key) name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

Result<LoadedConfig> load_config(const ConfigSources& sources) {
  Loader loader;
  for (const Setting& setting : settings()) loader.values[setting.key] = {&setting, setting.fallback, "default"};
  if (!sources.file.empty()) read_file(loader, sources.file);
  read_environment(loader, sources.environment);
  for (const auto& [key, text] : sources.flags) {
    if (const Setting* setting = find_setting(key)) {
      put_text(loader, *setting, text, "flag");
    } else {
      loader.problem("flag", unknown_setting(key));
    }
  }
  if (!loader.problems.empty()) {
    std::string message = "The configuration is not valid:";
    for (const std::string& text : loader.problems) message += "\n  " + text;
    return fail(ErrorCode::kUnprocessable, std::move(message));
  }
  LoadedConfig loaded;
  for (const Setting& setting : settings()) {
    loaded.explained.push_back(loader.values[setting.key]);
    assign(loaded.config, setting, loaded.explained.back().value);
  }
  loaded.config.plans = std::move(loader.plans);
  return loaded;
}

std::string shown_value(const Explained& explained) {
  if (const auto* text = std::get_if<std::string>(&explained.value)) {
    if (explained.setting->visibility == Visibility::kSecret) return text->empty() ? "\"\"" : "***";
    return "\"" + *text + "\"";
  }
  if (const auto* number = std::get_if<std::int64_t>(&explained.value)) return std::to_string(*number);
  if (const auto* flag = std::get_if<bool>(&explained.value)) return *flag ? "true" : "false";
  std::string text;
  for (const auto& item : std::get<std::vector<std::string>>(explained.value)) {
    text += (text.empty() ? "\"" : ", \"") + item + "\"";
  }
  return "[" + text + "]";
}

}  // namespace bulkhead::server
