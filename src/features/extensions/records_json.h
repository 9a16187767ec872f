// JSON forms of this room's records, as routes answer them.
#pragma once

#include "base/json.h"
#include "features/extensions/install_service.h"
#include "features/extensions/records.h"

namespace bulkhead::extensions {

enum class ManifestDetail : std::uint8_t { kNone, kWhole };

json::object extension_json(const Extension& extension);
json::object version_json(const Version& version, ManifestDetail manifest);
json::object install_json(const InstallDetails& details);
json::object trust_json(const TrustRecord& record);

}  // namespace bulkhead::extensions
