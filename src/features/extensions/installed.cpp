#include "features/extensions/installed.h"

#include <algorithm>

namespace bulkhead::extensions {
namespace {

// FNV-1a, then MurmurHash3's 64-bit finaliser: the same on every node and in every release, which std::hash is not.
std::uint64_t stable_hash(std::string_view first, std::string_view second) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const std::string_view part : {first, second}) {
    for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  hash = (hash ^ (hash >> 33U)) * 0xff51afd7ed558ccdULL;
  hash = (hash ^ (hash >> 33U)) * 0xc4ceb9fe1a85ec53ULL;
  return hash ^ (hash >> 33U);
}

}  // namespace

bool InstalledExtension::may(std::string_view capability) const {
  return std::ranges::find(granted_capabilities, capability) != granted_capabilities.end();
}

const RunnableVersion& InstalledExtension::version_for(std::string_view caller_key) const {
  if (!rollout || rollout_percent <= 0) return *current;
  // The install's id keeps one caller from being the first everywhere. A caller below 10 % is also below 20 %.
  const auto& id = install_id.uuid().bytes();
  const std::string_view salt(reinterpret_cast<const char*>(id.data()), id.size());
  const std::uint64_t bucket = stable_hash(salt, caller_key) % 100;
  return bucket < static_cast<std::uint64_t>(rollout_percent) ? *rollout : *current;
}

}  // namespace bulkhead::extensions
