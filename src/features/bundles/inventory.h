// What a bundle was made of: an SPDX 2.3 SBOM and bundle.lock.json, made when the author brings none.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "features/bundles/manifest.h"

namespace bulkhead::bundles {

struct Dependency {
  std::string name;
  std::string version;
  std::string integrity;  // as npm writes it ("sha512-…"); may be empty
};
// The packages of a package-lock.json (lockfileVersion 2 or 3), sorted; none when the text is not one.
std::vector<Dependency> read_package_lock(std::string_view text);

struct InventoryInput {
  const Manifest& manifest;
  std::vector<std::pair<std::string, Sha256Digest>> files;  // packed so far
  std::vector<Dependency> dependencies;
  std::vector<std::pair<std::string, std::string>> toolchain;
};
// Both are functions of their input alone: no time, no host, no path of this machine.
std::string make_sbom(const InventoryInput& input);
std::string make_lock(const InventoryInput& input);

}  // namespace bulkhead::bundles
