#include "features/extensions/records_json.h"

namespace bulkhead::extensions {
namespace {

json::value text_or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }

json::value time_or_null(const std::optional<UtcMicros>& time) {
  return time ? json::value(to_rfc3339(*time)) : json::value(nullptr);
}

// Text of our own columns; what does not parse shows as null rather than failing the answer.
json::value parsed_or_null(const std::string& text) { return parse_json(text).value_or(nullptr); }

json::value marked(const std::optional<UtcMicros>& at, const std::string& reason) {
  if (!at) return nullptr;
  return {{"at", to_rfc3339(*at)}, {"reason", text_or_null(reason)}};
}

json::object runner_status_json(const RunnerStatus& status) {
  json::object object = {{"state", to_string(status.state)}, {"last_updated", to_rfc3339(status.last_updated)}};
  if (!status.message.empty()) object["message"] = status.message;
  return object;
}

}  // namespace

json::object extension_json(const Extension& extension) {
  return {{"id", extension.id.to_string()},
          {"name", extension.name},
          {"publisher", extension.publisher},
          {"visibility", to_string(extension.visibility)},
          {"latest_version", text_or_null(extension.latest_version)},
          {"owner_tenant_id", extension.owner.to_string()},
          {"created_at", to_rfc3339(extension.created_at)},
          {"updated_at", to_rfc3339(extension.updated_at)}};
}

json::object version_json(const Version& version, ManifestDetail manifest) {
  json::object object = {{"id", version.id.to_string()},
                         {"version", version.version},
                         {"content_hash", version.content_hash.to_string()},
                         {"signer",
                          {{"key_id", text_or_null(version.signer_key_id)},
                           {"certificate_subject", text_or_null(version.signer_subject)}}},
                         {"published_by", version.published_by},
                         {"published_at", to_rfc3339(version.published_at)},
                         {"deprecated", marked(version.deprecated_at, version.deprecated_reason)},
                         {"yanked", marked(version.yanked_at, version.yanked_reason)}};
  if (manifest == ManifestDetail::kWhole) object["manifest"] = parsed_or_null(version.manifest_json);
  return object;
}

json::object install_json(const InstallDetails& details) {
  const Install& install = details.install;
  json::object object = {{"id", install.id.to_string()},
                         {"extension_id", install.extension_id.to_string()},
                         {"extension_name", details.extension_name},
                         {"version", details.version},
                         {"version_id", install.version_id.to_string()},
                         {"content_hash", details.content_hash.to_string()},
                         {"previous_version", text_or_null(details.previous_version)},
                         {"rollout", nullptr},
                         {"granted_caps", json::array(install.granted_caps.begin(), install.granted_caps.end())},
                         {"granted_egress", json::array(install.granted_egress.begin(), install.granted_egress.end())},
                         {"config", parsed_or_null(install.config_json)},
                         {"limits", parsed_or_null(install.limits_json)},
                         {"is_enabled", install.is_enabled},
                         {"status", install.status},
                         {"runner_domain", install.runner_domain},
                         {"runner_status", runner_status_json(install.runner_status)},
                         {"runner_ref", text_or_null(install.runner_ref)},
                         {"created_by", install.created_by},
                         {"created_at", to_rfc3339(install.created_at)},
                         {"updated_at", to_rfc3339(install.updated_at)}};
  if (!details.rollout_version.empty()) {
    object["rollout"] = {{"version", details.rollout_version}, {"percent", install.rollout_percent}};
  }
  return object;
}

json::object trust_json(const TrustRecord& record) {
  return {{"id", record.id.to_string()},
          {"scope", record.tenant ? "organization" : "platform"},
          {"label", record.label},
          {"kind", record.kind},
          {"key_id", record.key_id},
          {"prefixes", json::array(record.prefixes.begin(), record.prefixes.end())},
          {"created_by", record.created_by},
          {"created_at", to_rfc3339(record.created_at)},
          {"revoked_at", time_or_null(record.revoked_at)}};
}

}  // namespace bulkhead::extensions
