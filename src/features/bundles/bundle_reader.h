// Reads bundle.tar.zst, which comes from outside and is hostile until proven otherwise (contracts/extensions.md §1).
//
// `read_archive` streams: one zstd frame, one tar in it, nothing behind either. Refused are unsafe, repeated and
// case-colliding names, links, devices, sparse files, and whatever exceeds ArchiveLimits; memory stays at a few MiB
// however large the archive claims to be. `read_bundle` adds the manifest and the files that it names.
// Blocking: run it on a thread pool. Errors: kBundleInvalid, kBundleTooLarge, kManifestNotFound, kInvalidManifest.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/sha256.h"
#include "features/bundles/manifest.h"

namespace bulkhead::bundles {

inline constexpr std::string_view kSignaturePath = "SIGNATURE";

struct ArchiveLimits {
  Bytes archive = 200_MiB;
  Bytes unpacked = 256_MiB;
  Bytes file = 64_MiB;
  std::size_t entries = 10'000;  // folders count
  std::uint64_t ratio = 200;     // unpacked : packed
};

// The packed bytes, from the start to the end, once.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual Bytes size() const = 0;
  // Bytes read; 0 at the end.
  virtual Result<std::size_t> read(std::span<char> into) = 0;
};
Result<std::unique_ptr<ByteSource>> open_file_source(const std::string& path);
std::unique_ptr<ByteSource> memory_source(std::string_view bytes);  // `bytes` outlive the source

struct Entry {
  std::string path;
  Bytes size;
  Sha256Digest sha256{};
};

struct ArchiveSummary {
  ContentHash content_hash;  // of the packed bytes
  Bytes archive_size;
  Bytes unpacked_size;         // of the files' contents
  std::vector<Entry> entries;  // files, sorted by path

  const Entry* find(std::string_view path) const;
};

// Sees each file as it goes by. Either function may be empty.
struct ArchiveVisitor {
  // Whether `data` is to get this file's bytes. An error ends the reading.
  std::function<Result<bool>(const std::string& path, Bytes size)> wants;
  // The next piece of the file that was last asked about; also called once with no bytes for an empty file.
  std::function<Status(const std::string& path, std::string_view piece)> data;
};

Result<ArchiveSummary> read_archive(ByteSource& source, const ArchiveLimits& limits,
                                    const ArchiveVisitor& visitor = {});

// A whole bundle: what `read_archive` proved, plus the contents that every reader needs.
struct Bundle {
  ArchiveSummary archive;
  std::string manifest_text;
  Manifest manifest;
  std::string module;                    // the guest named by `entry`
  std::optional<std::string> signature;  // the SIGNATURE entry
  std::vector<std::string> notices;      // what was accepted and ignored, for the author
};

Result<Bundle> read_bundle_file(const std::string& path, const ArchiveLimits& limits = {});
Result<Bundle> read_bundle(std::string_view bytes, const ArchiveLimits& limits = {});

}  // namespace bulkhead::bundles
