#include "features/bundles/bundle_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "features/bundles/paths.h"
#include "features/bundles/utf8_locale.h"
#include "features/bundles/zstd_stream.h"

namespace bulkhead::bundles {
namespace {

constexpr Bytes kMaxSignature = 4_MiB;
// The end mark is two zero blocks; writers fill up to a record of 20 blocks (POSIX ustar).
constexpr std::uint64_t kTarBlock = 512;
constexpr std::uint64_t kTarRecord = 20 * kTarBlock;

class FileSource final : public ByteSource {
 public:
  FileSource(int descriptor, Bytes size) : descriptor_(descriptor), size_(size) {}
  ~FileSource() override { ::close(descriptor_); }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;
  Bytes size() const override { return size_; }
  Result<std::size_t> read(std::span<char> into) override {
    for (;;) {
      const ssize_t got = ::read(descriptor_, into.data(), into.size());
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) return fail(ErrorCode::kInternal, "The bundle could not be read.", std::strerror(errno));
    }
  }

 private:
  int descriptor_;
  Bytes size_;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string_view bytes) : bytes_(bytes), rest_(bytes) {}
  Bytes size() const override { return Bytes{bytes_.size()}; }
  Result<std::size_t> read(std::span<char> into) override {
    const std::size_t count = std::min(into.size(), rest_.size());
    std::ranges::copy(rest_.substr(0, count), into.begin());
    rest_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view bytes_;
  std::string_view rest_;
};

// Walks the tar with libarchive, which gets its bytes from a ZstdStream and knows no format but tar.
class ArchiveReader {
 public:
  ArchiveReader(ByteSource& source, const ArchiveLimits& limits, const ArchiveVisitor& visitor)
      : limits_(limits), visitor_(visitor), stream_(source, limits), archive_(archive_read_new()) {
    BH_ASSERT(archive_ != nullptr);
  }
  ~ArchiveReader() { archive_read_free(archive_); }
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  Result<ArchiveSummary> read() {
    archive_read_support_format_tar(archive_);
    if (archive_read_open(archive_, this, nullptr, &ArchiveReader::give_bytes, nullptr) != ARCHIVE_OK) return broken();
    for (;;) {
      archive_entry* entry = nullptr;
      const int outcome = archive_read_next_header(archive_, &entry);
      if (outcome == ARCHIVE_EOF) break;
      if (outcome != ARCHIVE_OK) return broken();
      BH_TRY_VOID(read_entry(entry));
    }
    BH_TRY_VOID(check_end());
    summary_.content_hash = stream_.finish_hash();
    summary_.archive_size = stream_.packed();
    std::ranges::sort(summary_.entries, {}, &Entry::path);
    return std::move(summary_);
  }

 private:
  static la_ssize_t give_bytes(archive* handle, void* self, const void** bytes) {
    auto& reader = *static_cast<ArchiveReader*>(self);
    auto piece = reader.stream_.next();
    if (!piece) {
      reader.stream_error_ = std::move(piece.error());
      archive_set_error(handle, EIO, "stream");
      return -1;
    }
    *bytes = piece->data();
    return static_cast<la_ssize_t>(piece->size());
  }

  std::unexpected<Error> broken() {
    if (stream_error_) return fail(std::move(*stream_error_));
    const char* why = archive_error_string(archive_);
    return fail(ErrorCode::kBundleInvalid, "The bundle's tar archive is damaged.", why != nullptr ? why : "");
  }

  Status read_entry(archive_entry* entry) {
    if (++count_ > limits_.entries) {
      return fail(ErrorCode::kBundleTooLarge,
                  "The bundle has more than " + std::to_string(limits_.entries) + " entries.");
    }
    const char* raw = archive_entry_pathname(entry);
    if (raw == nullptr) return fail(ErrorCode::kBundleInvalid, "The name of an entry can't be read.");
    std::string path = raw;
    if (archive_entry_hardlink(entry) != nullptr || archive_entry_symlink(entry) != nullptr) {
      return fail(ErrorCode::kBundleInvalid, "The bundle has a link: " + path + ".");
    }
    if (path.starts_with("./")) path.erase(0, 2);
    const auto type = archive_entry_filetype(entry);
    if (type == AE_IFDIR) {
      if (path.ends_with('/')) path.pop_back();
      if (archive_entry_size(entry) != 0)
        return fail(ErrorCode::kBundleInvalid, "A folder has contents: " + path + ".");
      return path.empty() || path == "." ? Status() : names_.add_folder(path);
    }
    if (type != AE_IFREG) {
      return fail(ErrorCode::kBundleInvalid, "The bundle has something other than files and folders: " + path + ".");
    }
    if (!archive_entry_size_is_set(entry) || archive_entry_sparse_count(entry) > 0) {
      return fail(ErrorCode::kBundleInvalid, "The bundle has a sparse file: " + path + ".");
    }
    BH_TRY_VOID(names_.add_file(path));
    return read_file(std::move(path), static_cast<std::uint64_t>(archive_entry_size(entry)));
  }

  Status read_file(std::string path, std::uint64_t size) {
    if (size > limits_.file.value) {
      return fail(ErrorCode::kBundleTooLarge, path + " is larger than " + to_string(limits_.file) + ".");
    }
    summary_.unpacked_size.value += size;
    if (summary_.unpacked_size > limits_.unpacked) {
      return fail(ErrorCode::kBundleTooLarge, "The bundle unpacks to more than " + to_string(limits_.unpacked) + ".");
    }
    bool wanted = false;
    if (visitor_.wants) {
      BH_TRY(wanted, visitor_.wants(path, Bytes{size}));
    }
    Sha256 hash;
    std::uint64_t at = 0;
    for (;;) {
      const void* bytes = nullptr;
      std::size_t count = 0;
      la_int64_t offset = 0;
      const int outcome = archive_read_data_block(archive_, &bytes, &count, &offset);
      if (outcome == ARCHIVE_EOF) break;
      if (outcome != ARCHIVE_OK) return broken();
      if (static_cast<std::uint64_t>(offset) != at || count > size - at) {
        return fail(ErrorCode::kBundleInvalid, "The bundle has a sparse file: " + path + ".");
      }
      const std::string_view piece(static_cast<const char*>(bytes), count);
      hash.update(piece);
      if (wanted && visitor_.data && count > 0) BH_TRY_VOID(visitor_.data(path, piece));
      at += count;
    }
    if (at != size) return fail(ErrorCode::kBundleInvalid, "The bundle is cut short in " + path + ".");
    if (wanted && visitor_.data && size == 0) BH_TRY_VOID(visitor_.data(path, {}));
    summary_.entries.push_back({std::move(path), Bytes{size}, hash.finish()});
    return {};
  }

  // libarchive stops at the first end mark, and takes a missing one for the end too: both must be exact here, since
  // what stands behind the mark would be in the hash but in no list of entries.
  Status check_end() {
    const auto consumed = static_cast<std::uint64_t>(archive_filter_bytes(archive_, 0));
    for (;;) {
      auto piece = stream_.next();
      if (!piece) return fail(std::move(piece.error()));
      if (piece->empty()) break;
    }
    if (stream_.last_content_end() + 2 * kTarBlock > consumed) {
      return fail(ErrorCode::kBundleInvalid, stream_.last_content_end() > consumed
                                                 ? "The bundle has data behind its end."
                                                 : "The bundle's tar archive has no end mark.");
    }
    if (stream_.unpacked() - consumed >= kTarRecord) {
      return fail(ErrorCode::kBundleInvalid, "The bundle has data behind its end.");
    }
    return {};
  }

  const ArchiveLimits& limits_;
  const ArchiveVisitor& visitor_;
  ZstdStream stream_;
  archive* archive_;
  std::optional<Error> stream_error_;
  EntryNames names_;
  std::size_t count_ = 0;
  ArchiveSummary summary_;
};

// Collects the contents of a few files in memory.
class Keeper {
 public:
  explicit Keeper(std::string module_path) : module_path_(std::move(module_path)) {}

  ArchiveVisitor visitor() {
    return {.wants = [this](const std::string& path, Bytes size) { return wants(path, size); },
            .data =
                [this](const std::string& path, std::string_view piece) {
                  kept_[path].append(piece);
                  return Status();
                }};
  }
  bool has(const std::string& path) const { return kept_.contains(path); }
  std::string take(const std::string& path) { return std::move(kept_.at(path)); }

 private:
  Result<bool> wants(const std::string& path, Bytes size) {
    if (path == kManifestPath && size.value > kMaxManifestSize) {
      return fail(ErrorCode::kInvalidManifest, "manifest.json is larger than 1 MiB.");
    }
    if (path == kSignaturePath && size > kMaxSignature) {
      return fail(ErrorCode::kBundleTooLarge, "SIGNATURE is larger than 4 MiB.");
    }
    const bool wanted = path == kManifestPath || path == kSignaturePath || path == module_path_;
    if (wanted) kept_[path].reserve(size.value);
    return wanted;
  }

  std::string module_path_;
  std::map<std::string, std::string> kept_;
};

Status refuse_missing(const ArchiveSummary& archive, std::string_view path, std::string_view field) {
  if (archive.find(path) != nullptr) return {};
  Error error{.code = ErrorCode::kBundleInvalid, .message = {}, .detail = {}, .fields = {}, .cause = {}};
  error.message = "The bundle lacks " + std::string(path) + ", which its manifest names in " + std::string(field) + ".";
  error.fields.push_back({std::string(field), "is not in the bundle"});
  return fail(std::move(error));
}

Status check_named_files(const Bundle& bundle) {
  const Manifest& manifest = bundle.manifest;
  BH_TRY_VOID(refuse_missing(bundle.archive, manifest.entry, "/entry"));
  if (!manifest.sbom.empty()) BH_TRY_VOID(refuse_missing(bundle.archive, manifest.sbom, "/sbom"));
  if (manifest.ui) BH_TRY_VOID(refuse_missing(bundle.archive, manifest.ui->entry, "/ui/entry"));
  return {};
}

using OpenSource = std::function<Result<std::unique_ptr<ByteSource>>()>;

Result<Bundle> read_bundle_from(const OpenSource& open, const ArchiveLimits& limits) {
  Bundle bundle;
  Keeper keeper{std::string(kDefaultEntry)};
  BH_TRY(auto source, open());
  BH_TRY(bundle.archive, read_archive(*source, limits, keeper.visitor()));
  if (!keeper.has(std::string(kManifestPath))) return fail(ErrorCode::kManifestNotFound);
  bundle.manifest_text = keeper.take(std::string(kManifestPath));
  BH_TRY(bundle.manifest, parse_manifest(std::string_view(bundle.manifest_text)));
  BH_TRY_VOID(check_named_files(bundle));
  if (keeper.has(std::string(kSignaturePath))) bundle.signature = keeper.take(std::string(kSignaturePath));
  if (keeper.has(bundle.manifest.entry)) {
    bundle.module = keeper.take(bundle.manifest.entry);
  } else {
    // The manifest named another module than the default: only now do we know which, so go over the archive once more.
    Keeper second(bundle.manifest.entry);
    BH_TRY(auto again, open());
    BH_TRY(const ArchiveSummary summary, read_archive(*again, limits, second.visitor()));
    if (summary.content_hash != bundle.archive.content_hash) {
      return fail(ErrorCode::kBundleInvalid, "The bundle changed while it was read.");
    }
    bundle.module = second.take(bundle.manifest.entry);
  }
  for (const Entry& entry : bundle.archive.entries) {
    if (entry.path.starts_with("artifacts/cwasm/")) {
      bundle.notices.push_back(entry.path +
                               " is machine code of the author's: it is never loaded, we compile our own.");
    }
  }
  return bundle;
}

}  // namespace

Result<std::unique_ptr<ByteSource>> open_file_source(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kInternal, "The bundle file can't be opened.",
                path + ": " + std::strerror(errno));
  }
  struct stat info{};
  if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(descriptor);
    return fail(ErrorCode::kBundleInvalid, "The bundle is not a file.", path);
  }
  return std::make_unique<FileSource>(descriptor, Bytes{static_cast<std::uint64_t>(info.st_size)});
}

std::unique_ptr<ByteSource> memory_source(std::string_view bytes) { return std::make_unique<MemorySource>(bytes); }

const Entry* ArchiveSummary::find(std::string_view path) const {
  const auto at = std::ranges::lower_bound(entries, path, {}, &Entry::path);
  return at != entries.end() && at->path == path ? &*at : nullptr;
}

Result<ArchiveSummary> read_archive(ByteSource& source, const ArchiveLimits& limits, const ArchiveVisitor& visitor) {
  if (source.size() > limits.archive) {
    return fail(ErrorCode::kBundleTooLarge, "The bundle is larger than " + to_string(limits.archive) + ".");
  }
  const Utf8Locale names_are_utf8;
  return ArchiveReader(source, limits, visitor).read();
}

Result<Bundle> read_bundle_file(const std::string& path, const ArchiveLimits& limits) {
  return read_bundle_from([&path] { return open_file_source(path); }, limits);
}

Result<Bundle> read_bundle(std::string_view bytes, const ArchiveLimits& limits) {
  return read_bundle_from([bytes]() -> Result<std::unique_ptr<ByteSource>> { return memory_source(bytes); }, limits);
}

}  // namespace bulkhead::bundles
