// The server's registry and install routes as the command line uses them (contracts/extensions.md §2). Shared by the
// `ext` commands and `ext test`.
#pragma once

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
  std::vector<std::string> grants;  // capabilities
  std::vector<std::string> egress;  // hosts
  json::value config;               // an object, or null
};
// Installs, or moves an install that is there to the version and grants.
Answer<json::value> install_version(ApiClient& client, const InstallRequest& request);

// The organization's installs.
Answer<std::vector<json::object>> list_installs(ApiClient& client, const std::string& organization);
// The install of an extension, by its name or id.
Answer<json::object> find_install(ApiClient& client, const std::string& extension, const std::string& organization);

// A text member, or "".
std::string text_of(const json::object& object, std::string_view name);

}  // namespace bulkhead::cli
