// What an extension's author does: new, validate, build, pack, keygen, sign, verify, test, dev, types.
#include <filesystem>

#include "base/embedded_file.h"
#include "cli/command.h"
#include "cli/dev_command.h"
#include "cli/project_build.h"
#include "cli/test_command.h"
#include "cli/types_command.h"
#include "features/bundles/bundle_reader.h"
#include "features/bundles/bundle_writer.h"
#include "features/bundles/name.h"
#include "features/bundles/signing.h"
#include "platform/process/file.h"

namespace bulkhead {
std::span<const EmbeddedFile> templates_files();
}

namespace bulkhead::cli {
namespace {

constexpr std::size_t kMaxKeyFile = 64 * 1024;

std::string join(const std::string& folder, const std::string& name) {
  return (std::filesystem::path(folder) / name).string();
}

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

struct NewOptions {
  std::string name;
  std::string template_name = "assemblyscript";
  std::string publisher = "Me";
  std::string folder;
};

Status write_template(const NewOptions& options, const std::string& folder) {
  const std::string prefix = options.template_name + "/";
  for (const EmbeddedFile& file : templates_files()) {
    if (!file.path.starts_with(prefix)) continue;
    const std::string path = join(folder, std::string(file.path.substr(prefix.size())));
    std::string content = replace_all(std::string(file.bytes), "{{name}}", options.name);
    content = replace_all(std::move(content), "{{publisher}}", options.publisher);
    BH_TRY_VOID(process::make_directory(std::filesystem::path(path).parent_path().string(), 0755));
    const bool program = path.ends_with(".sh");
    BH_TRY_VOID(process::write_file_atomically(path, content, program ? 0755 : 0644, process::IfExists::kRefuse));
  }
  return {};
}

int run_new(const Globals& globals, const NewOptions& options) {
  const std::string folder = options.folder.empty() ? options.name : options.folder;
  if (const auto problem = bundles::name_problem(options.name)) {
    return report(globals,
                  fail(ErrorCode::kBadRequest, "The name " + *problem + ", for example com.example.orders.").error());
  }
  if (std::filesystem::exists(folder) && !std::filesystem::is_empty(folder)) {
    return report(globals, fail(ErrorCode::kAlreadyExists, folder + " exists already and is not empty.").error());
  }
  if (auto written = write_template(options, folder); !written) return report(globals, written.error());
  return show(globals, json::object{{"folder", folder}, {"name", options.name}, {"template", options.template_name}},
              "Made " + folder + ". Next:\n  cd " + folder + "\n  bulkhead ext build .\n  bulkhead ext test .");
}

int run_validate(const Globals& globals, const std::string& path) {
  const bool folder = std::filesystem::is_directory(path);
  Result<bundles::Manifest> manifest = fail(ErrorCode::kManifestNotFound);
  std::vector<std::string> notices;
  if (folder || path.ends_with(".json")) {
    auto text = process::read_file(folder ? join(path, "manifest.json") : path, Bytes{bundles::kMaxManifestSize});
    if (!text && text.error().code == ErrorCode::kNotFound) {
      return report(globals, fail(ErrorCode::kManifestNotFound, "There is no manifest.json in " + path + ".").error());
    }
    if (!text) return report(globals, text.error());
    const std::string file = folder ? join(path, "manifest.json") : path;
    if (const auto document = parse_json(*text); !document) {
      return report(globals, fail(ErrorCode::kInvalidManifest, with_place(file, document.error().message)).error());
    }
    manifest = bundles::parse_manifest(*text);
    std::error_code ignored;
    if (manifest && folder && !std::filesystem::is_regular_file(join(path, manifest->entry), ignored)) {
      Error error =
          fail(ErrorCode::kBundleInvalid, manifest->entry + ", the manifest's entry, is not a file in " + path + ".")
              .error();
      error.fields.push_back({"/entry", "is not a file in"});
      return report(globals, error, next_for_folder(error, path));
    }
  } else {
    auto bundle = bundles::read_bundle_file(path);
    if (!bundle) return report(globals, bundle.error());
    notices = bundle->notices;
    manifest = std::move(bundle->manifest);
  }
  if (!manifest) return report(globals, manifest.error());
  for (const std::string& notice : notices) note(globals, "note: " + notice);
  return show(globals, json::object{{"valid", true}, {"name", manifest->name}, {"version", manifest->version.text()}},
              manifest->name + " " + manifest->version.text() + " is valid.");
}

int run_build(const Globals& globals, const std::string& folder) {
  note(globals, "building " + folder + " ...");
  const auto built = build_project(folder);
  if (!built) return report(globals, built.error());
  if (!built->status.success()) {
    return report(globals,
                  fail(ErrorCode::kInternal, "build.sh ended with " + built->status.to_string() + ".").error());
  }
  return show(globals, json::object{{"folder", folder}, {"milliseconds", built->took.count()}},
              "Built in " + std::to_string(built->took.count()) + " ms.");
}

int run_pack(const Globals& globals, const std::string& folder, std::string out) {
  bundles::PackOptions options;
  if (out.empty()) out = "bundle.tar.zst";
  const auto packed = bundles::pack_folder(folder, out, options);
  if (!packed) return report(globals, packed.error(), next_for_folder(packed.error(), folder));
  json::array paths;
  for (const auto& path : packed->paths) paths.emplace_back(path);
  const std::string hash = packed->archive.content_hash.to_string();
  return show(globals,
              json::object{{"file", out},
                           {"content_hash", hash},
                           {"size", packed->archive.size.value},
                           {"name", packed->manifest.name},
                           {"version", packed->manifest.version.text()},
                           {"entries", std::move(paths)}},
              "Packed " + std::to_string(packed->paths.size()) + " files of " + packed->manifest.name + " " +
                  packed->manifest.version.text() + " into " + out + " (" + std::to_string(packed->archive.size.value) +
                  " bytes)\n" + hash);
}

int run_keygen(const Globals& globals, const std::string& out, const std::string& kind) {
  const auto key =
      bundles::PrivateKey::generate(kind == "ecdsa-p256" ? bundles::KeyKind::kEcdsaP256 : bundles::KeyKind::kEd25519);
  if (auto written = bundles::write_private_key(out, key); !written) return report(globals, written.error());
  const std::string public_path = out + ".pub";
  if (auto written = process::write_file_atomically(public_path, key.public_key().to_pem(), 0644); !written) {
    return report(globals, written.error());
  }
  return show(globals,
              json::object{{"private_key", out}, {"public_key", public_path}, {"key_id", key.public_key().id()}},
              "Private key: " + out + " (keep it secret)\nPublic key:  " + public_path + " (bulkhead trust add " +
                  public_path + ")\nKey id:      " + key.public_key().id());
}

struct SignOptions {
  std::string file;
  std::string key;
  std::string chain;
  std::string detached;
};

int run_sign(const Globals& globals, const SignOptions& options) {
  if (const auto pem = process::read_file(options.key, Bytes{kMaxKeyFile});
      pem && pem->find("PUBLIC KEY-----") != std::string::npos) {
    std::string next = "Sign with the private key that belongs to it";
    if (options.key.ends_with(".pub")) next += ": --key " + options.key.substr(0, options.key.size() - 4);
    return report(globals, fail(ErrorCode::kBadRequest, options.key + " is a public key.").error(), next + ".");
  }
  const auto key = bundles::read_private_key(options.key);
  if (!key) return report(globals, key.error());
  bundles::SigningIdentity identity{*key, {}};
  if (!options.chain.empty()) {
    auto chain = process::read_file(options.chain, Bytes{kMaxKeyFile});
    if (!chain) return report(globals, chain.error());
    identity.chain_pem = std::move(*chain);
  }
  if (options.detached.empty()) {
    const auto written = bundles::sign_bundle_file(options.file, options.file, identity);
    if (!written) return report(globals, written.error());
    return show(
        globals,
        json::object{{"file", options.file},
                     {"content_hash", written->content_hash.to_string()},
                     {"key_id", key->public_key().id()}},
        "Signed " + options.file + " with key " + key->public_key().id() + "\n" + written->content_hash.to_string());
  }
  const auto bundle = bundles::read_bundle_file(options.file);
  if (!bundle) return report(globals, bundle.error());
  const auto envelope = bundles::sign_content_hash(bundle->archive.content_hash, bundle->manifest.name,
                                                   bundle->manifest.version.text(), identity);
  if (!envelope) return report(globals, envelope.error());
  if (auto written = process::write_file_atomically(options.detached, *envelope, 0644); !written) {
    return report(globals, written.error());
  }
  return show(globals, json::object{{"signature", options.detached}, {"key_id", key->public_key().id()}},
              "Wrote " + options.detached + ", made with key " + key->public_key().id());
}

int run_verify(const Globals& globals, const std::string& file, const std::vector<std::string>& trusted,
               const std::string& detached) {
  std::vector<bundles::TrustEntry> entries;
  for (const std::string& path : trusted) {
    auto pem = process::read_file(path, Bytes{kMaxKeyFile});
    if (!pem) return report(globals, pem.error());
    entries.push_back({path, std::move(*pem), {"*"}});
  }
  const auto trust = bundles::TrustBundle::make(entries);
  if (!trust) return report(globals, trust.error());
  const auto bundle = bundles::read_bundle_file(file);
  if (!bundle) return report(globals, bundle.error());
  std::optional<std::string> signature;
  if (!detached.empty()) {
    auto text = process::read_file(detached, Bytes{kMaxKeyFile * 4});
    if (!text) return report(globals, text.error());
    signature = std::move(*text);
  }
  const auto signer = bundles::verify_bundle(*bundle, signature, *trust, SystemClock().now());
  if (!signer) return report(globals, signer.error());
  const std::string hash = bundle->archive.content_hash.to_string();
  return show(globals,
              json::object{{"verified", true},
                           {"name", bundle->manifest.name},
                           {"version", bundle->manifest.version.text()},
                           {"content_hash", hash},
                           {"key_id", signer->key_id}},
              bundle->manifest.name + " " + bundle->manifest.version.text() + " is signed by key " + signer->key_id +
                  "\n" + hash);
}

void add_dev_command(Commands& commands, CLI::App& ext) {
  Globals& globals = commands.globals;
  auto* command = commands.add(ext, "dev", "Build, publish, install and show the log at every change of a folder",
                               "  bulkhead ext dev . --private\n"
                               "  bulkhead ext dev . --org acme --key signing.key\n"
                               "  bulkhead ext dev . --org acme --key signing.key --once --json");
  const auto options = std::make_shared<DevOptions>();
  command->add_option("dir", options->folder, "Extension's folder")->capture_default_str();
  command->add_option("--key", options->key, "Signing key that the server trusts (default: signing.key in the folder)");
  command->add_option("--grant", options->grants, "Capabilities to grant (default: all that the manifest asks for)");
  command->add_option("--egress", options->egress, "Hosts to grant (default: all that the manifest asks for)");
  command->add_option("--config", options->config, "JSON file with the install's settings");
  add_org_option(command, globals);
  command->add_flag("--private", options->private_server,
                    "Start a platform for the time of this command; needs no server, key or organization");
  command->add_flag("--once", options->once, "End after the first installation");
  commands.on_run(command, [&globals, options] { return run_dev(globals, *options); });
}

void add_types_command(Commands& commands, CLI::App& ext) {
  const Globals& globals = commands.globals;
  auto* command =
      commands.add(ext, "types", "Write a type for the settings that the manifest's config schema describes",
                   "  bulkhead ext types . --language assemblyscript -o assembly/config.ts\n"
                   "  bulkhead ext types . --language typescript -o config.d.ts\n"
                   "  bulkhead ext types . --language rust -o src/config.rs");
  const auto options = std::make_shared<TypesOptions>();
  command->add_option("dir", options->folder, "Extension's folder")->capture_default_str();
  command->add_option("--language,-l", options->language, "typescript, assemblyscript or rust")
      ->check(CLI::IsMember({"typescript", "assemblyscript", "rust"}))
      ->capture_default_str();
  command->add_option("-o,--out", options->out, "File to write (default: standard output)");
  commands.on_run(command, [&globals, options] { return run_types(globals, *options); });
}

}  // namespace

void add_author_commands(Commands& commands, CLI::App& ext) {
  const Globals& globals = commands.globals;
  {
    auto* command = commands.add(ext, "new", "Make a new extension's folder from a template",
                                 "  bulkhead ext new com.example.visits\n"
                                 "  bulkhead ext new com.example.visits --template c --dir visits");
    const auto options = std::make_shared<NewOptions>();
    command->add_option("name", options->name, "Reverse-domain name")->required();
    command->add_option("--template,-t", options->template_name, "assemblyscript, c or rust")
        ->check(CLI::IsMember({"assemblyscript", "c", "rust"}))
        ->capture_default_str();
    command->add_option("--publisher", options->publisher, "Publisher in the manifest")->capture_default_str();
    command->add_option("--dir", options->folder, "Folder to make (default: the name)");
    commands.on_run(command, [&globals, options] { return run_new(globals, *options); });
  }
  {
    auto* command = commands.add(ext, "validate", "Check a manifest, a folder or a bundle",
                                 "  bulkhead ext validate .\n  bulkhead ext validate extension.tar.zst");
    const auto path = std::make_shared<std::string>(".");
    command->add_option("path", *path, "Folder, manifest.json or bundle")->capture_default_str();
    commands.on_run(command, [&globals, path] { return run_validate(globals, *path); });
  }
  {
    auto* command = commands.add(ext, "build", "Run the folder's build.sh", "  bulkhead ext build .");
    const auto path = std::make_shared<std::string>(".");
    command->add_option("dir", *path, "Extension's folder")->capture_default_str();
    commands.on_run(command, [&globals, path] { return run_build(globals, *path); });
  }
  {
    auto* command = commands.add(ext, "pack", "Pack a folder into a deterministic bundle",
                                 "  bulkhead ext pack . -o extension.tar.zst");
    const auto folder = std::make_shared<std::string>(".");
    const auto out = std::make_shared<std::string>();
    command->add_option("dir", *folder, "Extension's folder")->capture_default_str();
    command->add_option("-o,--out", *out, "Bundle to write (default: bundle.tar.zst)");
    commands.on_run(command, [&globals, folder, out] { return run_pack(globals, *folder, *out); });
  }
  {
    auto* command = commands.add(ext, "keygen", "Make a signing key", "  bulkhead ext keygen -o signing.key");
    const auto out = std::make_shared<std::string>();
    const auto kind = std::make_shared<std::string>("ed25519");
    command->add_option("-o,--out", *out, "Private key file; the public key goes to FILE.pub")->required();
    command->add_option("--kind", *kind, "ed25519 or ecdsa-p256")
        ->check(CLI::IsMember({"ed25519", "ecdsa-p256"}))
        ->capture_default_str();
    commands.on_run(command, [&globals, out, kind] { return run_keygen(globals, *out, *kind); });
  }
  {
    auto* command = commands.add(ext, "sign", "Sign a bundle",
                                 "  bulkhead ext sign extension.tar.zst --key signing.key\n"
                                 "  bulkhead ext sign extension.tar.zst --key signing.key --detached SIGNATURE");
    const auto options = std::make_shared<SignOptions>();
    command->add_option("file", options->file, "Bundle")->required();
    command->add_option("--key", options->key, "Private key (ext keygen)")->required();
    command->add_option("--chain", options->chain, "Certificates (PEM, leaf first) for an X.509 signer");
    command->add_option("--detached", options->detached, "Write the signature to this file instead of into the bundle");
    commands.on_run(command, [&globals, options] { return run_sign(globals, *options); });
  }
  {
    auto* command = commands.add(ext, "verify", "Verify a bundle's signature",
                                 "  bulkhead ext verify extension.tar.zst --trust signing.key.pub");
    const auto file = std::make_shared<std::string>();
    const auto trusted = std::make_shared<std::vector<std::string>>();
    const auto detached = std::make_shared<std::string>();
    command->add_option("file", *file, "Bundle")->required();
    command->add_option("--trust", *trusted, "Public key or CA certificate (PEM); may be repeated")->required();
    command->add_option("--signature", *detached, "Detached signature");
    commands.on_run(command,
                    [&globals, file, trusted, detached] { return run_verify(globals, *file, *trusted, *detached); });
  }
  {
    auto* command = commands.add(ext, "test", "Run a folder's tests/*.json against a private local platform",
                                 "  bulkhead ext test .");
    const auto folder = std::make_shared<std::string>(".");
    command->add_option("dir", *folder, "Extension's folder")->capture_default_str();
    commands.on_run(command, [&globals, folder] { return run_extension_tests(globals, *folder); });
  }
  add_dev_command(commands, ext);
  add_types_command(commands, ext);
}

}  // namespace bulkhead::cli
