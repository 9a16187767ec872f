#include "cli/extension_api.h"

#include "base/bytes.h"

namespace bulkhead::cli {
namespace {

constexpr Millis kPublishTime{600'000};

json::object install_body(const InstallRequest& request) {
  json::object body{{"version", request.version}};
  if (request.grants) body["granted_caps"] = json::array(request.grants->begin(), request.grants->end());
  if (request.egress) body["granted_egress"] = json::array(request.egress->begin(), request.egress->end());
  if (!request.config.is_null()) body["config"] = request.config;
  return body;
}

// The objects of "items" on all pages.
Answer<std::vector<json::object>> all_items(ApiClient& client, const std::string& path,
                                            const std::string& organization) {
  std::vector<json::object> items;
  std::string cursor;
  do {
    ApiRequest http;
    http.path = path + "?limit=200" + (cursor.empty() ? "" : "&cursor=" + net::percent_encode(cursor));
    http.organization = organization;
    auto answer = client.call(http);
    if (!answer) return std::unexpected(std::move(answer.error()));
    const json::value body = answer->json();
    if (!body.is_object()) break;
    if (const json::value* found = body.get_object().if_contains("items"); found != nullptr && found->is_array()) {
      for (const json::value& item : found->get_array()) {
        if (item.is_object()) items.push_back(item.get_object());
      }
    }
    cursor = text_of(body.get_object(), "next_cursor");
  } while (!cursor.empty());
  return items;
}

}  // namespace

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

Answer<json::value> publish_version(ApiClient& client, const PublishRequest& request) {
  ApiRequest http;
  http.method = "POST";
  http.path = "/api/extensions/" + net::percent_encode(request.name) + "/versions";
  http.upload_file = request.file;
  http.content_type = "application/zstd";
  http.organization = request.organization;
  http.timeout = kPublishTime;
  if (!request.signature.empty()) {
    http.headers.emplace_back("x-bundle-signature", base64_encode(request.signature));
  }
  auto answer = client.call(http);
  if (!answer) return std::unexpected(std::move(answer.error()));
  return answer->json();
}

Answer<std::vector<json::object>> list_installs(ApiClient& client, const std::string& organization) {
  return all_items(client, "/api/installs", organization);
}

Answer<std::vector<json::object>> list_versions(ApiClient& client, const std::string& extension,
                                                const std::string& organization) {
  return all_items(client, "/api/extensions/" + net::percent_encode(extension) + "/versions", organization);
}

std::vector<std::string> texts_of(const json::object& object, std::string_view name) {
  std::vector<std::string> texts;
  const json::value* found = object.if_contains(name);
  if (found == nullptr || !found->is_array()) return texts;
  for (const json::value& item : found->get_array()) {
    if (item.is_string()) texts.emplace_back(item.get_string());
  }
  return texts;
}

std::string rollout_text(const json::object& install) {
  const json::value* rollout = install.if_contains("rollout");
  if (rollout == nullptr || !rollout->is_object()) return "";
  const json::value* percent = rollout->get_object().if_contains("percent");
  return text_of(rollout->get_object(), "version") + " (" + (percent == nullptr ? "?" : json::serialize(*percent)) +
         " %)";
}

std::string joined(const std::vector<std::string>& texts, std::string_view separator) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? std::string() : std::string(separator)) + text;
  return all;
}

ManifestSummary summary_of(const std::vector<json::object>& versions, const std::string& version) {
  ManifestSummary summary;
  for (const json::object& one : versions) {
    const json::value* manifest = one.if_contains("manifest");
    if (text_of(one, "version") != version || manifest == nullptr || !manifest->is_object()) continue;
    for (const std::string& name : texts_of(manifest->get_object(), "capabilities")) {
      summary.capabilities.push_back(name.starts_with("cap:") ? name.substr(4) : name);
    }
    summary.egress = texts_of(manifest->get_object(), "egress");
    const json::value* api = manifest->get_object().if_contains("api");
    const json::value* endpoints =
        api != nullptr && api->is_object() ? api->get_object().if_contains("endpoints") : nullptr;
    if (endpoints == nullptr || !endpoints->is_array()) continue;
    for (const json::value& endpoint : endpoints->get_array()) {
      if (!endpoint.is_object()) continue;
      summary.endpoints.push_back(text_of(endpoint.get_object(), "method") + " " +
                                  text_of(endpoint.get_object(), "path"));
    }
  }
  return summary;
}

Answer<json::object> find_install(ApiClient& client, const std::string& extension, const std::string& organization) {
  auto installs = list_installs(client, organization);
  if (!installs) return std::unexpected(std::move(installs.error()));
  for (json::object& install : *installs) {
    if (text_of(install, "extension_name") == extension || text_of(install, "extension_id") == extension ||
        text_of(install, "id") == extension) {
      return std::move(install);
    }
  }
  return std::unexpected(ApiRefusal{.status = 404,
                                    .code = "extension_not_available",
                                    .message = extension + " is not installed.",
                                    .request_id = {},
                                    .fields = {}});
}

Answer<json::value> install_version(ApiClient& client, const InstallRequest& request) {
  const auto present = find_install(client, request.extension, request.organization);
  if (!present && present.error().status != 404) return std::unexpected(present.error());
  ApiRequest http;
  http.organization = request.organization;
  json::object body = install_body(request);
  if (present) {
    http.method = "PATCH";
    http.path = "/api/installs/" + text_of(*present, "id");
  } else {
    http.method = "POST";
    http.path = "/api/installs";
    body["extension"] = request.extension;
  }
  http.body = std::move(body);
  auto answer = client.call(http);
  if (!answer) return std::unexpected(std::move(answer.error()));
  return answer->json();
}

}  // namespace bulkhead::cli
