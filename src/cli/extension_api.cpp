#include "cli/extension_api.h"

#include "base/bytes.h"

namespace bulkhead::cli {
namespace {

constexpr Millis kPublishTime{600'000};

json::object install_body(const InstallRequest& request) {
  json::array grants, egress;
  for (const auto& grant : request.grants) grants.emplace_back(grant);
  for (const auto& host : request.egress) egress.emplace_back(host);
  json::object body{{"version", request.version}, {"granted_caps", std::move(grants)}};
  if (!egress.empty()) body["granted_egress"] = std::move(egress);
  if (!request.config.is_null()) body["config"] = request.config;
  return body;
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
  std::vector<json::object> installs;
  std::string cursor;
  do {
    ApiRequest http;
    http.path = "/api/installs?limit=200" + (cursor.empty() ? "" : "&cursor=" + net::percent_encode(cursor));
    http.organization = organization;
    auto answer = client.call(http);
    if (!answer) return std::unexpected(std::move(answer.error()));
    const json::value body = answer->json();
    cursor.clear();
    if (!body.is_object()) break;
    if (const json::value* items = body.get_object().if_contains("items"); items != nullptr && items->is_array()) {
      for (const json::value& item : items->get_array()) {
        if (item.is_object()) installs.push_back(item.get_object());
      }
    }
    cursor = text_of(body.get_object(), "next_cursor");
  } while (!cursor.empty());
  return installs;
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
