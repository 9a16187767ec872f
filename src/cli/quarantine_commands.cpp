// `bulkhead ext quarantine list|release`.
#include <CLI/CLI.hpp>

#include "base/ids.h"
#include "cli/extension_api.h"

namespace bulkhead::cli {
namespace {

int run_list(const Globals& globals) {
  ApiClient client(globals);
  ApiRequest request;
  request.path = "/api/v1/quarantine";
  request.organization = globals.organization;
  const auto answer = client.call(request);
  if (!answer) return report(globals, answer.error());
  const json::value body = answer->json();
  std::vector<std::vector<std::string>> rows;
  if (body.is_object() && body.get_object().contains("items")) {
    for (const json::value& item : body.at("items").as_array()) {
      const json::object& one = item.as_object();
      const std::string until = text_of(one, "until");
      rows.push_back({text_of(one, "install_id"), text_of(one, "reason"), text_of(one, "since"),
                      until.empty() ? "released" : until, text_of(one, "message")});
    }
  }
  const std::string text = table({"INSTALL", "REASON", "SINCE", "UNTIL", "WHY"}, rows);
  return show(globals, body, text.empty() ? "Nothing is quarantined." : text);
}

// By the install's id, or by the extension as the other `ext` commands name it.
Answer<std::string> install_id_of(ApiClient& client, const Globals& globals, const std::string& name) {
  if (InstallId::parse(name)) return name;
  const auto install = find_install(client, name, globals.organization);
  if (!install) return std::unexpected(install.error());
  return text_of(*install, "id");
}

int run_release(const Globals& globals, const std::string& name) {
  ApiClient client(globals);
  const auto id = install_id_of(client, globals, name);
  if (!id) return report(globals, id.error());
  ApiRequest request;
  request.method = "POST";
  request.path = "/api/v1/quarantine/" + *id + "/release";
  request.organization = globals.organization;
  const auto answer = client.call(request);
  if (!answer) return report(globals, answer.error());
  return show(globals, answer->json(), "Released " + name + ". If it goes on as before it will be quarantined again.");
}

}  // namespace

void add_quarantine_commands(Commands& commands, CLI::App& ext) {
  Globals& globals = commands.globals;
  auto* group = commands.add(ext, "quarantine", "Installs that are stopped for what they did");
  group->require_subcommand(1);
  const auto add_org = [&globals](CLI::App* command) { add_org_option(command, globals); };
  {
    auto* command = commands.add(*group, "list", "Show them, and why", "  bulkhead ext quarantine list --org acme");
    add_org(command);
    commands.on_run(command, [&globals] { return run_list(globals); });
  }
  {
    auto* command = commands.add(*group, "release", "Let an install work again",
                                 "  bulkhead ext quarantine release com.example.hello --org acme");
    const auto name = std::make_shared<std::string>();
    command->add_option("name", *name, "Extension's name or id, or the install's id")->required();
    add_org(command);
    commands.on_run(command, [&globals, name] { return run_release(globals, *name); });
  }
}

}  // namespace bulkhead::cli
