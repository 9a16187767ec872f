// What an install may have, judged against manifests. Pure functions; problems are FieldErrors of the install's JSON.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "features/bundles/manifest.h"
#include "features/extensions/records.h"

namespace bulkhead::extensions {

// Splits "egress:HOST" entries off, drops "cap:" prefixes, removes repeats, sorts.
struct Grants {
  std::vector<std::string> capabilities;
  std::vector<std::string> egress;
};
Grants normalized_grants(const std::vector<std::string>& capabilities, const std::vector<std::string>& egress);

// kCapabilityUnknown: a capability or host that none of the manifests asks for.
Status check_grants(const Grants& grants, const std::vector<const bundles::Manifest*>& manifests);
// kConfigInvalid: the settings don't match the manifest's schema; without a schema there are no settings.
Status check_config(const std::string& config_json, const bundles::Manifest& manifest);

}  // namespace bulkhead::extensions
