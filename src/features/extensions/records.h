// The rows of this room as values. What stores return and services pass on; JSON forms are in records_json.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"

namespace bulkhead::extensions {

// Who besides its owner may see and install an extension.
enum class Visibility : std::uint8_t { kPublic, kPrivate };
std::string_view to_string(Visibility visibility);
std::optional<Visibility> parse_visibility(std::string_view text);

struct Extension {
  ExtensionId id;
  TenantId owner;
  std::string name;
  std::string publisher;
  Visibility visibility = Visibility::kPublic;
  std::string created_by;
  UtcMicros created_at;
  UtcMicros updated_at;
  std::string latest_version;  // what an install without a version gets; empty: none. Set by RegistryService's reads
};

struct BundleRecord {
  ContentHash content_hash;
  Bytes size;
  Bytes unpacked_size;
  std::int64_t entries = 0;
  std::string signature_form;  // "embedded", "detached", "none" (dev trust mode)
};

struct Version {
  VersionId id;
  ExtensionId extension_id;
  std::string version;
  ContentHash content_hash;
  std::string manifest_json;  // as in the bundle
  std::string signer_key_id;
  std::string signer_trust_id;
  std::string signer_subject;
  std::string published_by;
  UtcMicros published_at;
  std::optional<UtcMicros> deprecated_at;
  std::string deprecated_reason;
  std::optional<UtcMicros> yanked_at;
  std::string yanked_reason;
};

enum class RunnerState : std::uint8_t { kPending, kProvisioning, kReady, kError };
std::string_view to_string(RunnerState state);
std::optional<RunnerState> parse_runner_state(std::string_view text);

struct RunnerStatus {
  RunnerState state = RunnerState::kPending;
  std::string message;
  UtcMicros last_updated;
};

struct Install {
  InstallId id;
  ExtensionId extension_id;
  VersionId version_id;
  std::optional<VersionId> previous_version_id;
  std::optional<VersionId> rollout_version_id;
  int rollout_percent = 0;
  std::vector<std::string> granted_caps;
  std::vector<std::string> granted_egress;
  std::string config_json = "{}";
  std::string limits_json = "{}";
  bool is_enabled = true;
  std::string status = "installed";
  std::string runner_domain;
  RunnerStatus runner_status;
  std::string runner_ref;
  std::int64_t revision = 1;
  std::string created_by;
  UtcMicros created_at;
  UtcMicros updated_at;
};

struct TrustRecord {
  TrustEntryId id;
  std::optional<TenantId> tenant;  // none: the platform's
  std::string label;
  std::string kind;  // "key", "ca"
  std::string pem;
  std::string key_id;
  std::vector<std::string> prefixes;
  std::string created_by;
  UtcMicros created_at;
  std::optional<UtcMicros> revoked_at;
};

}  // namespace bulkhead::extensions
