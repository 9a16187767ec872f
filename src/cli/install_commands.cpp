// `bulkhead ext install|rollout|versions`: which version an organization runs, with what grants.
#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/bytes.h"
#include "cli/extension_api.h"

namespace bulkhead::cli {
namespace {

// "name@version" in two.
std::optional<std::pair<std::string, std::string>> split_reference(const std::string& reference) {
  const std::size_t at = reference.rfind('@');
  if (at == std::string::npos || at == 0 || at + 1 == reference.size()) return std::nullopt;
  return std::pair{reference.substr(0, at), reference.substr(at + 1)};
}

int refuse_reference(const Globals& globals) {
  return report(globals, fail(ErrorCode::kBadRequest, "Name the version too: NAME@VERSION.").error(),
                "bulkhead ext versions NAME lists them.");
}

struct InstallOptions {
  std::string reference;
  std::vector<std::string> grants;
  std::vector<std::string> egress;
  std::string config;
};

// "a,b" is "a" and "b"; "none" is the empty list; nothing named is no list.
std::optional<std::vector<std::string>> named_list(const std::vector<std::string>& words) {
  if (words.empty()) return std::nullopt;
  std::vector<std::string> names;
  for (const std::string& word : words) {
    std::size_t begin = 0;
    while (begin <= word.size()) {
      const std::size_t end = std::min(word.find(',', begin), word.size());
      if (end > begin) names.push_back(word.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  if (names == std::vector<std::string>{"none"}) names.clear();
  return names;
}

std::vector<std::string> without(const std::vector<std::string>& from, const std::vector<std::string>& those) {
  std::vector<std::string> rest;
  for (const std::string& one : from) {
    if (std::ranges::find(those, one) == those.end()) rest.push_back(one);
  }
  return rest;
}

std::string org_words(const Globals& globals) {
  return globals.organization.empty() ? "" : " --org " + globals.organization;
}

// A 404 for a version that is not published says which are.
ApiRefusal with_versions(ApiClient& client, const Globals& globals, ApiRefusal refusal, const std::string& name,
                         const std::string& version) {
  if (refusal.status != 404) return refusal;
  const auto versions = list_versions(client, name, globals.organization);
  if (!versions || versions->empty()) return refusal;
  std::vector<std::string> published;
  for (const json::object& one : *versions) published.push_back(text_of(one, "version"));
  if (std::ranges::find(published, version) != published.end()) return refusal;
  constexpr std::size_t kShown = 10;
  const bool more = published.size() > kShown;
  published.resize(std::min(published.size(), kShown));
  refusal.message = name + " has no version " + version + ".";
  refusal.next = "Name one that is published: " + joined(published) + (more ? ", …" : "") + ".";
  return refusal;
}

std::string installed_text(const Globals& globals, const json::object& install, const ManifestSummary& manifest) {
  const std::string name = text_of(install, "extension_name");
  std::vector<std::string> granted = texts_of(install, "granted_caps");
  // What the version does not ask for it does not have, though the install keeps it for a rollback.
  granted = without(granted, without(granted, manifest.capabilities));
  std::string text = "Installed " + name + " " + text_of(install, "version") + " as " + text_of(install, "id");
  if (const std::string domain = text_of(install, "runner_domain"); !domain.empty()) text += "\nDomain: " + domain;
  text += "\nGranted: " + (granted.empty() ? "nothing" : joined(granted));
  const std::vector<std::string> hosts = texts_of(install, "granted_egress");
  if (!hosts.empty()) text += "\nHosts: " + joined(hosts);
  const std::vector<std::string> lacking = without(manifest.capabilities, granted);
  if (!lacking.empty()) {
    text += "\nnot granted: " + joined(lacking) + " (bulkhead ext install " + name + "@" + text_of(install, "version") +
            org_words(globals) + " --grant " + joined(manifest.capabilities, " ") + ")";
  }
  const std::string endpoint = manifest.endpoints.empty() ? "" : manifest.endpoints.front();
  if (!endpoint.empty()) text += "\nNext: bulkhead ext invoke " + name + " " + endpoint + org_words(globals);
  return text;
}

int run_install(const Globals& globals, const InstallOptions& options) {
  const auto reference = split_reference(options.reference);
  if (!reference) return refuse_reference(globals);
  InstallRequest request;
  request.extension = reference->first;
  request.version = reference->second;
  request.organization = globals.organization;
  request.grants = named_list(options.grants);
  request.egress = named_list(options.egress);
  if (!options.config.empty()) {
    auto config = read_json_file(options.config);
    if (!config) return report(globals, config.error());
    request.config = std::move(*config);
  }
  ApiClient client(globals);
  const auto installed = install_version(client, request);
  if (!installed) {
    return report(globals, with_versions(client, globals, installed.error(), request.extension, request.version));
  }
  if (!installed->is_object()) return show(globals, *installed, "Installed " + options.reference);
  if (globals.json) return show(globals, *installed, "");
  const json::object& install = installed->get_object();
  const auto versions = list_versions(client, text_of(install, "extension_name"), globals.organization);
  const ManifestSummary manifest = versions ? summary_of(*versions, text_of(install, "version")) : ManifestSummary();
  return show(globals, *installed, installed_text(globals, install, manifest));
}

struct RolloutOptions {
  std::string reference;
  int percent = -1;
  bool end = false;
};

int run_rollout(const Globals& globals, const RolloutOptions& options) {
  auto reference = split_reference(options.reference);
  if (!reference && !options.end) return refuse_reference(globals);
  if (!options.end && options.percent < 0) {
    return report(globals, fail(ErrorCode::kBadRequest, "Say how many of the callers: --percent N.").error(),
                  "bulkhead ext rollout NAME --end ends one.");
  }
  const std::string name = reference ? reference->first : options.reference;
  ApiClient client(globals);
  const auto install = find_install(client, name, globals.organization);
  if (!install) return report(globals, install.error());
  json::value rollout = nullptr;
  if (!options.end) rollout = {{"version", reference->second}, {"percent", options.percent}};
  ApiRequest request;
  request.method = "PATCH";
  request.path = "/api/installs/" + text_of(*install, "id");
  request.organization = globals.organization;
  request.body = json::object{{"rollout", std::move(rollout)}};
  const auto answer = client.call(request);
  if (!answer) {
    return report(globals, with_versions(client, globals, answer.error(), name, reference ? reference->second : ""));
  }
  const json::value body = answer->json();
  const json::object after = body.is_object() ? body.get_object() : json::object();
  const std::string version = text_of(after, "version"), running = rollout_text(after);
  return show(globals, body,
              running.empty() ? "No rollout is under way; every caller of " + name + " gets " + version + "."
                              : "Rolling out " + running + " of " + name + "; the other callers get " + version + ".");
}

int run_versions(const Globals& globals, const std::string& name) {
  ApiClient client(globals);
  const auto versions = list_versions(client, name, globals.organization);
  if (!versions) return report(globals, versions.error());
  json::array items;
  std::vector<std::vector<std::string>> rows;
  for (const json::object& version : *versions) {
    const auto is_marked = [&](std::string_view mark) {
      const json::value* found = version.if_contains(mark);
      return found != nullptr && found->is_object();
    };
    rows.push_back({text_of(version, "version"),
                    is_marked("yanked")       ? "yanked"
                    : is_marked("deprecated") ? "deprecated"
                                              : "published",
                    text_of(version, "published_at"), text_of(version, "content_hash")});
    items.emplace_back(version);
  }
  const std::string text = table({"VERSION", "STATUS", "PUBLISHED", "HASH"}, rows);
  return show(globals, json::object{{"items", std::move(items)}},
              text.empty() ? "No version of " + name + " is published." : text);
}

}  // namespace

void add_install_commands(Commands& commands, CLI::App& ext) {
  Globals& globals = commands.globals;
  {
    auto* command = commands.add(
        ext, "install", "Install a version, or move an install to it; its data, settings and grants stay",
        "  bulkhead ext install com.example.orders@1.0.0 --org acme --grant storage.kv log.emit\n"
        "  bulkhead ext install com.example.orders@1.1.0 --org acme\n"
        "  bulkhead ext install com.example.orders@1.1.0 --org acme --grant storage.kv --egress api.example.com");
    const auto options = std::make_shared<InstallOptions>();
    command->add_option("reference", options->reference, "NAME@VERSION")->required();
    command->add_option("--grant", options->grants,
                        "Capabilities to grant instead of those that the install has; none takes all away");
    command->add_option("--egress", options->egress,
                        "Hosts that it may reach, instead of those that the install has; none takes all away");
    command->add_option("--config", options->config, "JSON file with the install's settings");
    add_org_option(command, globals);
    commands.on_run(command, [&globals, options] { return run_install(globals, *options); });
  }
  {
    auto* command = commands.add(ext, "rollout", "Give a part of the callers another version, or end that",
                                 "  bulkhead ext rollout com.example.orders@1.1.0 --percent 10 --org acme\n"
                                 "  bulkhead ext rollout com.example.orders --end --org acme");
    const auto options = std::make_shared<RolloutOptions>();
    command->add_option("reference", options->reference, "NAME@VERSION; NAME with --end")->required();
    auto* percent =
        command->add_option("--percent", options->percent, "Of the callers, by their key")->check(CLI::Range(1, 100));
    command->add_flag("--end", options->end, "Every caller gets the installed version again")->excludes(percent);
    add_org_option(command, globals);
    commands.on_run(command, [&globals, options] { return run_rollout(globals, *options); });
  }
  auto* command = commands.add(ext, "versions", "List an extension's published versions, newest first",
                               "  bulkhead ext versions com.example.orders --org acme");
  const auto name = std::make_shared<std::string>();
  command->add_option("name", *name, "Extension's name or id")->required();
  add_org_option(command, globals);
  commands.on_run(command, [&globals, name] { return run_versions(globals, *name); });
}

}  // namespace bulkhead::cli
