#include "features/bundles/inventory.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/json.h"

namespace bulkhead::bundles {
namespace {

std::string hex(const Sha256Digest& digest) {
  return hex_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

// SPDX ids: letters, digits, dots and hyphens (SPDX 2.3 §3.2).
std::string spdx_id(std::string_view kind, std::string_view name, std::string_view version) {
  std::string id = "SPDXRef-" + std::string(kind) + "-";
  for (const char c : std::string(name) + "-" + std::string(version)) {
    const bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.';
    id += allowed ? c : '-';
  }
  return id;
}

json::object spdx_package(std::string_view id, std::string_view name, std::string_view version) {
  return {{"SPDXID", id},
          {"name", name},
          {"versionInfo", version},
          {"downloadLocation", "NOASSERTION"},
          {"filesAnalyzed", false}};
}

// Names the exact content, so that two bundles never share a document namespace.
std::string content_name(const InventoryInput& input) {
  Sha256 hash;
  for (const auto& [path, digest] : input.files) hash.update(path + " " + hex(digest) + "\n");
  return hex(hash.finish());
}

}  // namespace

std::vector<Dependency> read_package_lock(std::string_view text) {
  std::vector<Dependency> found;
  const auto document = parse_json(text);
  if (!document || !document->is_object()) return found;
  const json::value* packages = document->get_object().if_contains("packages");
  if (packages == nullptr || !packages->is_object()) return found;
  const auto text_of = [](const json::object& package, std::string_view name) {
    const json::value* member = package.if_contains(name);
    return member != nullptr && member->is_string() ? std::string(member->get_string()) : std::string();
  };
  constexpr std::string_view kFolder = "node_modules/";
  for (const auto& item : packages->get_object()) {
    const std::string_view key = item.key();
    const std::size_t at = key.rfind(kFolder);
    if (at == key.npos || !item.value().is_object()) continue;
    const json::object& package = item.value().get_object();
    found.push_back(
        {std::string(key.substr(at + kFolder.size())), text_of(package, "version"), text_of(package, "integrity")});
  }
  const auto order = [](const Dependency& d) { return std::tie(d.name, d.version, d.integrity); };
  std::ranges::sort(found, {}, order);
  const auto repeated = std::ranges::unique(found, {}, order);
  found.erase(repeated.begin(), repeated.end());
  return found;
}

std::string make_sbom(const InventoryInput& input) {
  const Manifest& manifest = input.manifest;
  const std::string root = spdx_id("Extension", manifest.name, manifest.version.text());
  json::array packages{spdx_package(root, manifest.name, manifest.version.text())};
  json::array relationships{json::object{
      {"spdxElementId", "SPDXRef-DOCUMENT"}, {"relationshipType", "DESCRIBES"}, {"relatedSpdxElement", root}}};
  for (const Dependency& dependency : input.dependencies) {
    const std::string id = spdx_id("Package", dependency.name, dependency.version);
    packages.push_back(spdx_package(id, dependency.name, dependency.version));
    relationships.push_back(
        json::object{{"spdxElementId", root}, {"relationshipType", "DEPENDS_ON"}, {"relatedSpdxElement", id}});
  }
  return canonical_json(json::object{
      {"spdxVersion", "SPDX-2.3"},
      {"dataLicense", "CC0-1.0"},
      {"SPDXID", "SPDXRef-DOCUMENT"},
      {"name", manifest.name + "-" + manifest.version.text()},
      {"documentNamespace", "urn:bulkhead:sbom:" + content_name(input)},
      {"creationInfo", json::object{{"created", "1970-01-01T00:00:00Z"}, {"creators", {"Tool: bulkhead"}}}},
      {"packages", std::move(packages)},
      {"relationships", std::move(relationships)}});
}

std::string make_lock(const InventoryInput& input) {
  json::object files, toolchain;
  for (const auto& [path, digest] : input.files) files[path] = "sha256:" + hex(digest);
  for (const auto& [tool, version] : input.toolchain) toolchain[tool] = version;
  json::array dependencies;
  for (const Dependency& dependency : input.dependencies) {
    dependencies.push_back(
        json::object{{"name", dependency.name}, {"version", dependency.version}, {"integrity", dependency.integrity}});
  }
  return canonical_json(json::object{{"lockfileVersion", 1},
                                     {"name", input.manifest.name},
                                     {"version", input.manifest.version.text()},
                                     {"toolchain", std::move(toolchain)},
                                     {"dependencies", std::move(dependencies)},
                                     {"files", std::move(files)}});
}

}  // namespace bulkhead::bundles
