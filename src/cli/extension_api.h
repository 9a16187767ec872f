// The server's registry and install routes as the command line uses them (contracts/extensions.md §2). Shared by the
// `ext` commands and `ext test`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/api_client.h"

namespace bulkhead::cli {

template <typename T>
using Answer = std::expected<T, ApiRefusal>;

struct PublishRequest {
  std::string name;          // of the manifest
  std::string file;          // bundle.tar.zst
  std::string signature;     // detached envelope, or empty
  std::string organization;  // needed with the administrator's token
};
Answer<json::value> publish_version(ApiClient& client, const PublishRequest& request);

struct InstallRequest {
  std::string extension;
  std::string version;
  std::string organization;
  // Capabilities and hosts. nullopt: those that the install has, none where there is no install yet.
  std::optional<std::vector<std::string>> grants;
  std::optional<std::vector<std::string>> egress;
  json::value config;  // an object, or null
};
// Installs, or moves an install that is there to the version.
Answer<json::value> install_version(ApiClient& client, const InstallRequest& request);

// The organization's installs.
Answer<std::vector<json::object>> list_installs(ApiClient& client, const std::string& organization);
// The install of an extension, by its name or id.
Answer<json::object> find_install(ApiClient& client, const std::string& extension, const std::string& organization);

// The published versions, newest first, each with its manifest.
Answer<std::vector<json::object>> list_versions(ApiClient& client, const std::string& extension,
                                                const std::string& organization);
// What a version's manifest says; empty where it can't be had.
struct ManifestSummary {
  std::vector<std::string> capabilities;
  std::vector<std::string> egress;
  std::vector<std::string> endpoints;  // "GET /visits/:name"
};
ManifestSummary summary_of(const std::vector<json::object>& versions, const std::string& version);

// "0.2.0 (10 %)", or "" where none is under way.
std::string rollout_text(const json::object& install);
// The texts of a member that is a list.
std::vector<std::string> texts_of(const json::object& object, std::string_view name);
// "a, b, c"
std::string joined(const std::vector<std::string>& texts, std::string_view separator = ", ");
// A text member, or "".
std::string text_of(const json::object& object, std::string_view name);

}  // namespace bulkhead::cli
