#include "features/bundles/bundle_writer.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "features/bundles/bundle_reader.h"
#include "features/bundles/inventory.h"
#include "features/bundles/paths.h"

namespace bulkhead::bundles {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFolderEntries = 200'000;

// Reads a whole small file; kBundleTooLarge over `at_most`.
Result<std::string> read_file(const fs::path& path, Bytes at_most) {
  BH_TRY(auto source, open_file_source(path.string()));
  if (source->size() > at_most) {
    return fail(ErrorCode::kBundleTooLarge, path.filename().string() + " is larger than " + to_string(at_most) + ".");
  }
  std::string text(source->size().value, '\0');
  std::size_t at = 0;
  while (at < text.size()) {
    BH_TRY(const std::size_t got, source->read({text.data() + at, text.size() - at}));
    if (got == 0) break;
    at += got;
  }
  text.resize(at);
  return text;
}

Result<Sha256Digest> hash_content(const PackedFile& file) {
  if (const auto* text = std::get_if<std::string>(&file.content)) return sha256(*text);
  BH_TRY(auto source, open_file_source(std::get<PackedFile::OnDisk>(file.content).path));
  Sha256 hash;
  std::vector<char> chunk(std::size_t{128} * 1024);
  for (;;) {
    BH_TRY(const std::size_t got, source->read(chunk));
    if (got == 0) return hash.finish();
    hash.update({chunk.data(), got});
  }
}

class FolderPacker {
 public:
  FolderPacker(fs::path folder, const PackOptions& options) : folder_(std::move(folder)), options_(options) {}

  Result<PackedBundle> pack(const std::string& out_path) {
    BH_TRY_VOID(read_manifest());
    BH_TRY_VOID(choose_files());
    BH_TRY_VOID(add_inventory());
    PackedBundle bundle;
    for (const PackedFile& file : files_) bundle.paths.push_back(file.path);
    std::ranges::sort(bundle.paths);
    bundle.generated = std::move(generated_);
    BH_TRY(bundle.archive, write_archive(std::move(files_), out_path, options_.progress));
    bundle.manifest = std::move(manifest_);
    return bundle;
  }

 private:
  Status read_manifest() {
    auto text = read_file(folder_ / kManifestPath, Bytes{kMaxManifestSize});
    if (!text && text.error().code == ErrorCode::kNotFound) {
      return fail(ErrorCode::kManifestNotFound, "There is no manifest.json in the folder.");
    }
    if (!text) return fail(std::move(text.error()));
    BH_TRY(manifest_, parse_manifest(std::string_view(*text)));
    if (!options_.version.empty()) {
      BH_TRY(json::value document, parse_json(*text));
      document.as_object()["version"] = options_.version;
      *text = json::serialize(document) + "\n";
      BH_TRY(manifest_, parse_manifest(std::string_view(*text)));
    }
    add(std::string(kManifestPath), std::move(*text));
    return {};
  }

  Status choose_files() {
    BH_TRY_VOID(add_named(manifest_.entry, "/entry"));
    if (manifest_.ui) BH_TRY_VOID(add_named(manifest_.ui->entry, "/ui/entry"));
    for (const auto& [target, path] : manifest_.precompiled) {
      BH_TRY_VOID(add_named(path, "/precompiled/" + target));
    }
    for (const std::string_view path : {kSbomPath, kLockPath}) {
      if (fs::is_regular_file(fs::symlink_status(folder_ / path))) BH_TRY_VOID(add_named(std::string(path), "/"));
    }
    // A declared SBOM of another name must be there; the usual name can be made.
    if (!manifest_.sbom.empty() && manifest_.sbom != kSbomPath) BH_TRY_VOID(add_named(manifest_.sbom, "/sbom"));
    return add_matching_files();
  }

  // ui/** and the manifest's assets.
  Status add_matching_files() {
    std::error_code problem;
    fs::recursive_directory_iterator at(folder_, problem);
    std::size_t seen = 0;
    for (; !problem && at != fs::recursive_directory_iterator(); at.increment(problem)) {
      if (++seen > kMaxFolderEntries) return fail(ErrorCode::kBundleTooLarge, "The folder has too many files.");
      const std::string name = at->path().filename().string();
      if (name.starts_with('.') || name == "node_modules") {
        if (at->is_directory() && !at->is_symlink()) at.disable_recursion_pending();
        continue;
      }
      const std::string path = at->path().lexically_relative(folder_).generic_string();
      if (!is_packed(path)) continue;
      const auto type = at->symlink_status().type();
      if (type == fs::file_type::directory) continue;
      if (type != fs::file_type::regular) return fail(ErrorCode::kBundleInvalid, path + " is not a plain file.");
      BH_TRY_VOID(add_named(path, "/assets"));
    }
    if (problem) return fail(ErrorCode::kInternal, "The folder can't be read.", problem.message());
    return {};
  }

  bool is_packed(const std::string& path) const {
    if (path == kSignaturePath) return false;
    return path.starts_with("ui/") ||
           std::ranges::any_of(manifest_.assets, [&path](const std::string& glob) { return glob_matches(glob, path); });
  }

  Status add_named(const std::string& path, std::string_view field) {
    if (chosen_.contains(path)) return {};
    std::error_code problem;
    if (!fs::is_regular_file(fs::symlink_status(folder_ / path, problem))) {
      Error error{.code = ErrorCode::kBundleInvalid, .message = {}, .detail = {}, .fields = {}, .cause = {}};
      error.message = path + " is not a file in the folder; the manifest names it in " + std::string(field) + ".";
      error.fields.push_back({std::string(field), "is not a file in the folder"});
      return fail(std::move(error));
    }
    const auto size = fs::file_size(folder_ / path, problem);
    if (problem) return fail(ErrorCode::kInternal, path + " can't be read.", problem.message());
    chosen_.insert(path);
    files_.push_back({path, PackedFile::OnDisk{(folder_ / path).string(), Bytes{size}}});
    return {};
  }

  void add(std::string path, std::string text) {
    chosen_.insert(path);
    files_.push_back({std::move(path), std::move(text)});
  }

  Status add_inventory() {
    const bool needs_sbom = manifest_.sbom.empty() || manifest_.sbom == kSbomPath;
    if ((!needs_sbom || chosen_.contains(std::string(kSbomPath))) && chosen_.contains(std::string(kLockPath)))
      return {};
    InventoryInput input{.manifest = manifest_, .files = {}, .dependencies = {}, .toolchain = options_.toolchain};
    for (const PackedFile& file : files_) {
      BH_TRY(const Sha256Digest digest, hash_content(file));
      input.files.emplace_back(file.path, digest);
    }
    std::ranges::sort(input.files);
    if (auto lock = read_file(folder_ / "package-lock.json", 16_MiB)) input.dependencies = read_package_lock(*lock);
    if (needs_sbom && !chosen_.contains(std::string(kSbomPath))) {
      generated_.emplace_back(kSbomPath);
      add(std::string(kSbomPath), make_sbom(input));
    }
    if (!chosen_.contains(std::string(kLockPath))) {
      generated_.emplace_back(kLockPath);
      add(std::string(kLockPath), make_lock(input));
    }
    return {};
  }

  fs::path folder_;
  const PackOptions& options_;
  Manifest manifest_;
  std::vector<PackedFile> files_;
  std::set<std::string> chosen_;
  std::vector<std::string> generated_;
};

}  // namespace

Result<PackedBundle> pack_folder(const std::string& folder, const std::string& out_path, const PackOptions& options) {
  try {
    return FolderPacker(folder, options).pack(out_path);
  } catch (const fs::filesystem_error& problem) {
    return fail(ErrorCode::kInternal, "The folder can't be read.", problem.what());
  }
}

}  // namespace bulkhead::bundles
