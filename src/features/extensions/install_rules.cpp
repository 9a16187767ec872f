#include "features/extensions/install_rules.h"

#include <algorithm>

#include "features/bundles/egress.h"
#include "platform/schema/validator.h"

namespace bulkhead::extensions {
namespace {

constexpr std::string_view kEgressPrefix = "egress:";

void sort_without_repeats(std::vector<std::string>& texts) {
  std::ranges::sort(texts);
  const auto repeated = std::ranges::unique(texts);
  texts.erase(repeated.begin(), repeated.end());
}

std::string normalized_host_pattern(const std::string& text) {
  const auto pattern = bundles::EgressPattern::parse(text);
  return pattern ? pattern->to_string() : text;  // what does not parse is refused by check_grants
}

bool asks_for(const std::vector<const bundles::Manifest*>& manifests, const std::string& capability) {
  return std::ranges::any_of(manifests, [&](const bundles::Manifest* manifest) {
    return std::ranges::find(manifest->capabilities, capability) != manifest->capabilities.end();
  });
}

std::unexpected<Error> config_invalid(std::vector<FieldError> fields) {
  Error error;
  error.code = ErrorCode::kConfigInvalid;
  error.message =
      "The config does not match the manifest: " + fields.front().pointer + " " + fields.front().message + ".";
  error.fields = std::move(fields);
  return fail(std::move(error));
}

}  // namespace

Grants normalized_grants(const std::vector<std::string>& capabilities, const std::vector<std::string>& egress) {
  Grants grants;
  for (const std::string& text : capabilities) {
    if (text.starts_with(kEgressPrefix)) {
      grants.egress.push_back(normalized_host_pattern(text.substr(kEgressPrefix.size())));
    } else {
      grants.capabilities.emplace_back(bundles::capability_name(text));
    }
  }
  for (const std::string& host : egress) grants.egress.push_back(normalized_host_pattern(host));
  sort_without_repeats(grants.capabilities);
  sort_without_repeats(grants.egress);
  return grants;
}

Status check_grants(const Grants& grants, const std::vector<const bundles::Manifest*>& manifests) {
  Error error;
  error.code = ErrorCode::kCapabilityUnknown;
  for (const std::string& capability : grants.capabilities) {
    if (!asks_for(manifests, capability)) {
      error.fields.push_back({"/granted_caps", capability + " is not asked for by the manifest"});
    }
  }
  std::vector<std::string> hosts;
  for (const bundles::Manifest* manifest : manifests) {
    hosts.insert(hosts.end(), manifest->egress.begin(), manifest->egress.end());
  }
  for (const std::string& host : bundles::egress_beyond(grants.egress, hosts)) {
    error.fields.push_back({"/granted_egress", host + " is not among the manifest's egress hosts"});
  }
  if (error.fields.empty()) return {};
  error.message = "The grant goes beyond the manifest: " + error.fields.front().message + ".";
  return fail(std::move(error));
}

Status check_config(const std::string& config_json, const bundles::Manifest& manifest) {
  if (manifest.config_schema_json.empty()) {
    if (config_json == "{}") return {};
    return config_invalid({{"/config", "must be empty: the manifest has no config schema"}});
  }
  auto validator = schema::Validator::compile(manifest.config_schema_json);
  if (!validator) return fail_because(ErrorCode::kInternal, {}, std::move(validator.error()));  // checked at publish
  std::vector<FieldError> problems = validator->validate(config_json);
  if (problems.empty()) return {};
  for (FieldError& problem : problems) problem.pointer = "/config" + problem.pointer;
  return config_invalid(std::move(problems));
}

}  // namespace bulkhead::extensions
