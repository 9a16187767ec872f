// The registry of extensions and their versions: who owns a name, what is published, deprecated, yanked. Rules; no
// HTTP.
//
// A public extension can be seen and installed by every organization of the platform, a private one by its owner only.
// Deprecating warns; yanking also keeps a version from new installs. Both can be taken back; what runs goes on running.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "features/access/audit.h"
#include "features/extensions/records.h"
#include "features/extensions/registry_store.h"
#include "platform/async/task.h"

namespace bulkhead::extensions {

class RegistryService {
 public:
  // All outlive the service; `random` is thread-safe.
  RegistryService(sql::Database& database, const Clock& clock, Random& random);

  // Claims a name. kUnprocessable, kNameClaimed (another organization's), kAlreadyExists (one's own).
  Task<Result<Extension>> create(access::Actor actor, TenantScope scope, std::string name, std::string publisher,
                                 Visibility visibility);
  Task<Result<Extension>> set_visibility(access::Actor actor, TenantScope scope, std::string id_or_name,
                                         Visibility visibility);
  // kNotFound, also for what the viewer may not see.
  Task<Result<Extension>> find(Viewer viewer, std::string id_or_name);
  Task<Result<std::vector<Extension>>> list(Viewer viewer, std::string after_name, std::size_t limit);
  Task<Result<std::vector<Version>>> versions(Viewer viewer, std::string id_or_name, std::string before,
                                              std::size_t limit);

  // `version` empty or "latest": the highest release that is not yanked, else the highest pre-release.
  // kNotFound, kVersionYanked.
  struct Choice {
    Extension extension;
    Version version;
  };
  Task<Result<Choice>> choose(Viewer viewer, std::string id_or_name, std::string version);
  Task<Result<Version>> version(VersionId id);

  enum class Mark : std::uint8_t { kDeprecate, kUndeprecate, kYank, kUnyank };
  // Only by the owner: kNotFound for others.
  Task<Result<Version>> mark(access::Actor actor, TenantScope scope, std::string id_or_name, std::string version,
                             Mark mark, std::string reason);

 private:
  sql::Database& database_;
  const Clock& clock_;
  Random& random_;
};

}  // namespace bulkhead::extensions
