// Manifest v2 (contracts/extensions.md §1): the one parser and validator, used by the CLI, the server and the docs.
//
// `parse_manifest` reports every problem at once, each with its JSON pointer; unknown fields are problems that name the
// nearest known one. What it returns is normalised: "cap:" prefixes are gone, "{id}" is ":id", hosts are in lower case,
// defaults are filled in. Later code never looks at the JSON again. A value; immutable once made.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"
#include "features/bundles/semver.h"

namespace bulkhead::bundles {

inline constexpr std::string_view kManifestPath = "manifest.json";
inline constexpr std::string_view kDefaultEntry = "dist/main.wasm";
inline constexpr std::size_t kMaxManifestSize = std::size_t{1} << 20U;
inline constexpr Millis kMaxEndpointTimeout{30'000};

enum class Runtime : std::uint8_t { kWasmCore1, kWasmJs1, kWasmComponent1 };
std::string_view to_string(Runtime runtime);  // "wasm-core@1"

// "http.fetch", "storage.kv", …
const std::vector<std::string_view>& known_capabilities();
// Without a "cap:" prefix, if it has one.
std::string_view capability_name(std::string_view text);

struct EndpointSpec {
  std::string method;                 // GET POST PUT PATCH DELETE
  std::string path;                   // "/agreements/:id"
  std::vector<std::string> segments;  // "agreements", ":id"; none for "/"
  std::string handler;
  std::string permission;         // default: extension:read for GET, else extension:write
  std::optional<Millis> timeout;  // 1 ms … kMaxEndpointTimeout
};
struct EventSpec {
  std::string topic;
  std::string handler;
  std::string filter_json = "{}";
};
struct ScheduleSpec {
  std::string id;
  std::string cron;
  std::string handler;
  std::string timezone = "UTC";
};
struct UiRoute {
  std::string path;
  std::string iframe_path;
};
struct UiSpec {
  std::string entry;
  std::vector<UiRoute> routes;
};

struct Manifest {
  std::string name;
  std::string publisher;
  Semver version;
  Runtime runtime = Runtime::kWasmCore1;
  std::string entry{kDefaultEntry};
  std::vector<std::string> capabilities;
  std::vector<std::string> egress;
  std::vector<EndpointSpec> endpoints;
  std::vector<EventSpec> events;
  std::vector<ScheduleSpec> schedules;
  std::optional<UiSpec> ui;
  std::string config_schema_json;  // empty = the extension takes no settings
  std::vector<std::string> secrets;
  std::map<std::string, std::string> precompiled;  // target → path; accepted, reported, never loaded
  std::vector<std::string> assets;
  std::string sbom;  // empty = none declared
};

// kInvalidManifest with `fields`.
Result<Manifest> parse_manifest(std::string_view text);
// The same for a document that is already parsed.
Result<Manifest> validate_manifest(const json::value& document);

}  // namespace bulkhead::bundles
