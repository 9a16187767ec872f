#include "cli/types_command.h"

#include <filesystem>

#include "cli/config_types.h"
#include "features/bundles/manifest.h"
#include "platform/process/file.h"

namespace bulkhead::cli {
namespace {

Result<std::string> types_of_folder(const TypesOptions& options) {
  const std::string path = (std::filesystem::path(options.folder) / bundles::kManifestPath).string();
  auto text = process::read_file(path, Bytes{bundles::kMaxManifestSize});
  if (!text && text.error().code == ErrorCode::kNotFound) {
    return fail(ErrorCode::kManifestNotFound, "There is no manifest.json in " + options.folder + ".");
  }
  if (!text) return fail(std::move(text.error()));
  BH_TRY(const bundles::Manifest manifest, bundles::parse_manifest(std::string_view(*text)));
  if (manifest.config_schema_json.empty()) {
    return fail(ErrorCode::kUnprocessable, "The manifest has no config: the extension takes no settings.");
  }
  BH_TRY(const json::value schema, parse_json(manifest.config_schema_json));
  const TypeLanguage language = options.language == "rust"             ? TypeLanguage::kRust
                                : options.language == "assemblyscript" ? TypeLanguage::kAssemblyScript
                                                                       : TypeLanguage::kTypeScript;
  return config_types(schema, language);
}

}  // namespace

int run_types(const Globals& globals, const TypesOptions& options) {
  const auto types = types_of_folder(options);
  if (!types) return report(globals, types.error());
  if (options.out.empty()) return show(globals, json::object{{"source", *types}}, *types);
  if (auto written = process::write_file_atomically(options.out, *types, 0644); !written) {
    return report(globals, written.error());
  }
  return show(globals, json::object{{"file", options.out}, {"language", options.language}}, "Wrote " + options.out);
}

}  // namespace bulkhead::cli
