#include "features/bundles/manifest.h"

#include <algorithm>

#include "features/bundles/egress.h"
#include "features/bundles/endpoint_path.h"
#include "features/bundles/name.h"
#include "features/bundles/paths.h"
#include "platform/schema/validator.h"

namespace bulkhead::bundles {
namespace {

constexpr std::size_t kMaxEndpoints = 256;
constexpr std::size_t kMaxItems = 128;  // of every other list

using Problems = std::vector<FieldError>;

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

// One or more of letters, digits and `others`, at most `most` characters.
bool is_word(std::string_view text, std::string_view others, std::size_t most) {
  return !text.empty() && text.size() <= most &&
         std::ranges::all_of(text, [others](char c) { return is_alphanumeric(c) || others.contains(c); });
}

// "resource:action"
bool is_permission(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == text.npos) return false;
  const auto part = [](std::string_view word) {
    return !word.empty() && word.size() <= 64 &&
           std::ranges::all_of(word, [](char c) { return (c >= 'a' && c <= 'z') || c == '_' || c == '-'; });
  };
  return part(text.substr(0, colon)) && part(text.substr(colon + 1));
}

// "billing.statement.created"
bool is_topic(std::string_view text) {
  return is_word(text, "._-", 128) && text.front() != '.' && text.back() != '.' && !text.contains("..");
}

// The shape only: five fields of cron characters.
bool looks_like_cron(std::string_view text) {
  if (text.size() > 128) return false;
  int fields = 0;
  bool in_field = false;
  for (const char c : text) {
    if (c == ' ') {
      in_field = false;
    } else if (is_alphanumeric(c) || std::string_view("*,-/").contains(c)) {
      fields += in_field ? 0 : 1;
      in_field = true;
    } else {
      return false;
    }
  }
  return fields == 5;
}

class ManifestParser {
 public:
  explicit ManifestParser(const json::value& document) : root_(document, problems_) {}

  Result<Manifest> parse() {
    if (root_.is_object()) {
      root_.member("$schema");  // editors look for it
      parse_identity();
      parse_capabilities();
      parse_egress();
      parse_api();
      parse_events();
      parse_schedules();
      parse_ui();
      parse_config();
      parse_files();
      root_.refuse_unknown();
    }
    if (problems_.empty()) return std::move(manifest_);
    Error error{.code = ErrorCode::kInvalidManifest, .message = {}, .detail = {}, .fields = {}, .cause = {}};
    error.message =
        "manifest.json has " +
        (problems_.size() == 1 ? std::string("a problem") : std::to_string(problems_.size()) + " problems") + ": " +
        problems_.front().pointer + " " + problems_.front().message + ".";
    error.fields = std::move(problems_);
    return fail(std::move(error));
  }

 private:
  void parse_identity() {
    if (auto name = root_.required_string("name")) {
      if (const auto problem = name_problem(*name)) root_.problem("name", *problem);
      manifest_.name = std::move(*name);
    }
    if (auto publisher = root_.optional_string("publisher")) {
      if (publisher->empty() || publisher->size() > 128) root_.problem("publisher", "must have 1 to 128 characters");
      manifest_.publisher = std::move(*publisher);
    }
    if (const auto version = root_.required_string("version")) {
      if (auto parsed = Semver::parse(*version)) {
        manifest_.version = std::move(*parsed);
      } else {
        root_.problem("version", "must be a semantic version, e.g. 1.2.3");
      }
    }
    if (const auto runtime = root_.required_string("runtime")) {
      if (*runtime == "wasm-core@1") {
        manifest_.runtime = Runtime::kWasmCore1;
      } else if (*runtime == "wasm-js@1") {
        manifest_.runtime = Runtime::kWasmJs1;
      } else if (*runtime == "wasm-component@1") {
        manifest_.runtime = Runtime::kWasmComponent1;
      } else {
        root_.problem("runtime", "must be wasm-js@1, wasm-core@1 or wasm-component@1");
      }
    }
    if (auto entry = root_.optional_string("entry")) {
      if (const auto problem = path_problem(*entry)) root_.problem("entry", *problem);
      if (*entry == kManifestPath || *entry == "SIGNATURE") root_.problem("entry", "must be a WebAssembly module");
      manifest_.entry = std::move(*entry);
    }
  }

  void parse_capabilities() {
    const auto& known = known_capabilities();
    for_each_string(root_, "capabilities", [&](std::string text, const std::string& pointer) {
      const std::string_view name = capability_name(text);
      if (std::ranges::find(known, name) == known.end()) {
        std::string message = "is not a known capability";
        if (const auto nearest = nearest_name(name, known)) message += "; did you mean \"" + *nearest + "\"?";
        problems_.push_back({pointer, std::move(message)});
      }
      add_once(manifest_.capabilities, std::string(name), pointer);
    });
  }

  void parse_egress() {
    for_each_string(root_, "egress", [&](std::string text, const std::string& pointer) {
      const auto pattern = EgressPattern::parse(text);
      if (!pattern) {
        problems_.push_back({pointer, "must be a host like api.example.com or *.example.org:443"});
      } else {
        add_once(manifest_.egress, pattern->to_string(), pointer);
      }
    });
  }

  void parse_api() {
    const json::value* api = root_.member("api");
    if (api == nullptr) return;
    JsonReader reader(*api, problems_, root_.pointer_to("api"));
    for_each_object(reader, "endpoints", kMaxEndpoints, [&](JsonReader& item) { parse_endpoint(item); });
    reader.refuse_unknown();
  }

  void parse_endpoint(JsonReader& item) {
    EndpointSpec endpoint;
    if (auto method = item.required_string("method")) {
      if (*method != "GET" && *method != "POST" && *method != "PUT" && *method != "PATCH" && *method != "DELETE") {
        item.problem("method", "must be GET, POST, PUT, PATCH or DELETE (HEAD and OPTIONS are answered for you)");
      }
      endpoint.method = std::move(*method);
    }
    bool path_is_good = false;
    if (const auto path = item.required_string("path")) {
      if (auto parsed = parse_endpoint_path(*path)) {
        endpoint.path = std::move(parsed->text);
        endpoint.segments = std::move(parsed->segments);
        path_is_good = true;
      } else {
        item.problem("path", parsed.error().message);
      }
    }
    endpoint.handler = parse_handler(item);
    if (auto permission = item.optional_string("permission")) {
      if (!is_permission(*permission)) item.problem("permission", "must look like extension:read");
      endpoint.permission = std::move(*permission);
    } else {
      endpoint.permission = endpoint.method == "GET" ? "extension:read" : "extension:write";
    }
    if (const auto timeout = item.optional_integer("timeout_ms", 1, kMaxEndpointTimeout.count())) {
      endpoint.timeout = Millis(*timeout);
    }
    item.refuse_unknown();
    if (path_is_good) refuse_overlap(item, endpoint);
    manifest_.endpoints.push_back(std::move(endpoint));
  }

  void refuse_overlap(JsonReader& item, const EndpointSpec& endpoint) {
    for (const EndpointSpec& other : manifest_.endpoints) {
      if (other.method != endpoint.method || other.path.empty()) continue;
      const Overlap found = overlap(other.segments, endpoint.segments);
      if (found == Overlap::kNone) continue;
      item.problem("path", (found == Overlap::kSame ? "matches the same requests as " : "is ambiguous with ") +
                               other.method + " " + other.path);
      return;
    }
  }

  void parse_events() {
    for_each_object(root_, "events", kMaxItems, [&](JsonReader& item) {
      EventSpec event;
      if (auto topic = item.required_string("topic")) {
        if (!is_topic(*topic)) item.problem("topic", "must be words joined by dots, e.g. billing.statement.created");
        event.topic = std::move(*topic);
      }
      event.handler = parse_handler(item);
      if (const json::value* filter = item.member("filter")) {
        if (!filter->is_object()) item.problem("filter", "must be an object");
        event.filter_json = canonical_json(*filter);
      }
      item.refuse_unknown();
      manifest_.events.push_back(std::move(event));
    });
  }

  void parse_schedules() {
    for_each_object(root_, "schedules", kMaxItems, [&](JsonReader& item) {
      ScheduleSpec schedule;
      if (auto id = item.required_string("id")) {
        if (!is_word(*id, "_-", 64)) item.problem("id", "must be letters, digits, hyphens and underscores");
        if (std::ranges::find(manifest_.schedules, *id, &ScheduleSpec::id) != manifest_.schedules.end()) {
          item.problem("id", "stands twice");
        }
        schedule.id = std::move(*id);
      }
      if (auto cron = item.required_string("cron")) {
        if (!looks_like_cron(*cron)) item.problem("cron", "must be five cron fields, e.g. 0 3 * * *");
        schedule.cron = std::move(*cron);
      }
      schedule.handler = parse_handler(item);
      if (auto timezone = item.optional_string("timezone")) {
        if (!is_word(*timezone, "_+/-", 64)) item.problem("timezone", "must be an IANA time zone, e.g. Europe/Berlin");
        schedule.timezone = std::move(*timezone);
      }
      item.refuse_unknown();
      manifest_.schedules.push_back(std::move(schedule));
    });
  }

  void parse_ui() {
    const json::value* value = root_.member("ui");
    if (value == nullptr) return;
    JsonReader reader(*value, problems_, root_.pointer_to("ui"));
    UiSpec ui;
    if (const auto type = reader.required_string("type"); type && *type != "iframe") {
      reader.problem("type", "must be iframe");
    }
    if (auto entry = reader.required_string("entry")) {
      refuse_bad_ui_path(reader, "entry", *entry);
      ui.entry = std::move(*entry);
    }
    for_each_object(reader, "routes", kMaxItems, [&](JsonReader& item) {
      UiRoute route;
      if (auto path = item.required_string("path")) {
        if (auto parsed = parse_endpoint_path(*path)) {
          route.path = std::move(parsed->text);
        } else {
          item.problem("path", parsed.error().message);
        }
      }
      if (auto path = item.required_string("iframePath")) {
        refuse_bad_ui_path(item, "iframePath", *path);
        route.iframe_path = std::move(*path);
      }
      item.refuse_unknown();
      ui.routes.push_back(std::move(route));
    });
    reader.refuse_unknown();
    manifest_.ui = std::move(ui);
  }

  void refuse_bad_ui_path(JsonReader& reader, std::string_view field, const std::string& path) {
    if (const auto problem = path_problem(path)) {
      reader.problem(field, *problem);
    } else if (!path.starts_with("ui/")) {
      reader.problem(field, "must be below ui/");
    }
  }

  void parse_config() {
    const json::value* config = root_.member("config");
    if (config == nullptr) return;
    if (!config->is_object()) {
      root_.problem("config", "must be a JSON Schema object");
      return;
    }
    manifest_.config_schema_json = canonical_json(*config);
    if (const Status usable = schema::check_schema(manifest_.config_schema_json); !usable) {
      for (const FieldError& found : usable.error().fields) {
        problems_.push_back({root_.pointer_to("config") + found.pointer, found.message});
      }
    }
  }

  void parse_files() {
    for_each_string(root_, "secrets", [&](std::string name, const std::string& pointer) {
      if (!is_word(name, "_.-", 64)) problems_.push_back({pointer, "must be letters, digits, '_', '-' and '.'"});
      add_once(manifest_.secrets, std::move(name), pointer);
    });
    if (const json::value* precompiled = root_.member("precompiled")) {
      JsonReader reader(*precompiled, problems_, root_.pointer_to("precompiled"));
      if (reader.is_object()) {
        for (const auto& item : precompiled->get_object()) {
          auto path = reader.optional_string(item.key());
          if (!path) continue;
          if (const auto problem = path_problem(*path)) reader.problem(item.key(), *problem);
          manifest_.precompiled.emplace(std::string(item.key()), std::move(*path));
        }
      }
    }
    for_each_string(root_, "assets", [&](std::string glob, const std::string& pointer) {
      if (const auto problem = path_problem(glob)) problems_.push_back({pointer, *problem});
      manifest_.assets.push_back(std::move(glob));
    });
    if (auto sbom = root_.optional_string("sbom")) {
      if (const auto problem = path_problem(*sbom)) root_.problem("sbom", *problem);
      manifest_.sbom = std::move(*sbom);
    }
  }

  std::string parse_handler(JsonReader& item) {
    auto handler = item.required_string("handler");
    if (!handler) return {};
    if (!is_word(*handler, "_./-:#$", 256))
      item.problem("handler", "must be a name of 1 to 256 letters, digits and _./-:#$");
    return std::move(*handler);
  }

  template <typename Each>
  void for_each_string(JsonReader& reader, std::string_view name, Each each) {
    const json::value* list = list_member(reader, name, kMaxItems, "must be an array of strings");
    if (list == nullptr) return;
    for (std::size_t i = 0; i < list->get_array().size(); ++i) {
      const json::value& item = list->get_array()[i];
      const std::string pointer = reader.pointer_to(name) + "/" + std::to_string(i);
      if (item.is_string()) {
        each(std::string(item.get_string()), pointer);
      } else {
        problems_.push_back({pointer, "must be a string"});
      }
    }
  }

  template <typename Each>
  void for_each_object(JsonReader& reader, std::string_view name, std::size_t most, Each each) {
    const json::value* list = list_member(reader, name, most, "must be an array of objects");
    if (list == nullptr) return;
    for (std::size_t i = 0; i < list->get_array().size(); ++i) {
      JsonReader item(list->get_array()[i], problems_, reader.pointer_to(name) + "/" + std::to_string(i));
      if (item.is_object()) each(item);
    }
  }

  static const json::value* list_member(JsonReader& reader, std::string_view name, std::size_t most,
                                        std::string_view expectation) {
    const json::value* list = reader.member(name);
    if (list == nullptr) return nullptr;
    if (!list->is_array()) {
      reader.problem(name, std::string(expectation));
      return nullptr;
    }
    if (list->get_array().size() > most) {
      reader.problem(name, "must have at most " + std::to_string(most) + " items");
      return nullptr;
    }
    return list;
  }

  void add_once(std::vector<std::string>& list, std::string text, const std::string& pointer) {
    if (std::ranges::find(list, text) != list.end()) {
      problems_.push_back({pointer, "stands twice"});
    } else {
      list.push_back(std::move(text));
    }
  }

  Problems problems_;
  JsonReader root_;
  Manifest manifest_;
};

}  // namespace

std::string_view to_string(Runtime runtime) {
  switch (runtime) {
    case Runtime::kWasmCore1:
      return "wasm-core@1";
    case Runtime::kWasmJs1:
      return "wasm-js@1";
    case Runtime::kWasmComponent1:
      return "wasm-component@1";
  }
  BH_ASSERT(false);
}

const std::vector<std::string_view>& known_capabilities() {
  static const std::vector<std::string_view> kCapabilities{"http.fetch",   "storage.kv",   "secrets.get",
                                                           "events.emit",  "schedules",    "log.emit",
                                                           "metrics.emit", "context.read", "user.read"};
  return kCapabilities;
}

std::string_view capability_name(std::string_view text) {
  if (text.starts_with("cap:")) text.remove_prefix(4);
  return text;
}

Result<Manifest> validate_manifest(const json::value& document) { return ManifestParser(document).parse(); }

Result<Manifest> parse_manifest(std::string_view text) {
  if (text.size() > kMaxManifestSize) return fail(ErrorCode::kInvalidManifest, "manifest.json is larger than 1 MiB.");
  auto document = parse_json(text);
  if (!document) {
    Error error = std::move(document.error());
    error.code = ErrorCode::kInvalidManifest;
    error.message = "manifest.json: " + error.message;
    return fail(std::move(error));
  }
  return validate_manifest(*document);
}

}  // namespace bulkhead::bundles
