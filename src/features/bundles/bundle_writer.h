// Packs an extension's folder into bundle.tar.zst (contracts/extensions.md §1): manifest.json, the entry module, ui/**,
// the manifest's assets and precompiled files, the SBOM and the lockfile; nothing else that lies in the folder.
//
// An SBOM or a lockfile that the folder lacks is made from package-lock.json and the packed files, deterministically.
// Links and hidden files (".git", ".env") are never packed. Blocking.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "features/bundles/archive_writer.h"
#include "features/bundles/manifest.h"

namespace bulkhead::bundles {

inline constexpr std::string_view kSbomPath = "sbom.spdx.json";
inline constexpr std::string_view kLockPath = "bundle.lock.json";

struct PackOptions {
  // What built the module, for the lockfile: {"assemblyscript", "0.28.0"}.
  std::vector<std::pair<std::string, std::string>> toolchain;
  // Packed in place of the manifest's own version; empty = that one. For versions of a development round.
  std::string version;
  Progress progress;
};

struct PackedBundle {
  Manifest manifest;
  WrittenArchive archive;
  std::vector<std::string> paths;      // packed, sorted
  std::vector<std::string> generated;  // those of them that the folder did not have
};

// kManifestNotFound, kInvalidManifest, kBundleInvalid (a file that the manifest names is missing), kBundleTooLarge,
// kStorageFull.
Result<PackedBundle> pack_folder(const std::string& folder, const std::string& out_path,
                                 const PackOptions& options = {});

}  // namespace bulkhead::bundles
