// `bulkhead serve|runner|migrate|config|version`: the platform's own processes and their configuration.
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/command.h"
#include "server/config.h"
#include "server/serve.h"
#include "server/version.h"

namespace bulkhead::cli {
namespace {

struct ServerOptions {
  std::string config_file;
  std::string data_dir;
  std::string listen;
  std::vector<std::string> settings;  // key=value
};

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) variables[std::string(text.substr(0, equals))] = text.substr(equals + 1);
  }
  return variables;
}

Result<server::LoadedConfig> load(const ServerOptions& options, std::string_view listen_key) {
  server::ConfigSources sources;
  sources.environment = environment();
  sources.file = options.config_file;
  if (sources.file.empty() && sources.environment.contains("BULKHEAD_CONFIG")) {
    sources.file = sources.environment["BULKHEAD_CONFIG"];
  }
  if (!options.data_dir.empty()) sources.flags.emplace_back("server.data_dir", options.data_dir);
  if (!options.listen.empty()) sources.flags.emplace_back(listen_key, options.listen);
  for (const std::string& setting : options.settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos)
      return fail(ErrorCode::kBadRequest, "--set takes KEY=VALUE, not \"" + setting + "\".");
    sources.flags.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
  }
  return server::load_config(sources);
}

std::shared_ptr<ServerOptions> add_config_options(CLI::App* command, const std::string& listen_doc) {
  auto options = std::make_shared<ServerOptions>();
  command->add_option("--config", options->config_file, "TOML file (or BULKHEAD_CONFIG)");
  command->add_option("--data-dir", options->data_dir, "Folder for everything that is kept (server.data_dir)");
  if (!listen_doc.empty()) command->add_option("--listen", options->listen, listen_doc);
  command->add_option("--set", options->settings, "Any setting: KEY=VALUE; may be repeated");
  return options;
}

// As the type that the setting has; secrets as "***".
json::value value_json(const server::Explained& explained) {
  const bool secret = explained.setting->visibility == server::Visibility::kSecret;
  if (const auto* text = std::get_if<std::string>(&explained.value)) {
    return secret && !text->empty() ? json::value("***") : json::value(*text);
  }
  if (const auto* number = std::get_if<std::int64_t>(&explained.value)) return *number;
  if (const auto* flag = std::get_if<bool>(&explained.value)) return *flag;
  const auto& items = std::get<std::vector<std::string>>(explained.value);
  return json::array(items.begin(), items.end());
}

int run_explain(const Globals& globals, const ServerOptions& options) {
  const auto loaded = load(options, "server.listen");
  if (!loaded) return report(globals, loaded.error());
  json::array items;
  std::string text;
  for (const server::Explained& explained : loaded->explained) {
    const server::Setting& setting = *explained.setting;
    items.push_back({{"key", setting.key},
                     {"value", value_json(explained)},
                     {"source", explained.source},
                     {"environment", setting.environment_name()},
                     {"doc", setting.doc}});
    text += std::string(setting.key) + " = " + server::shown_value(explained) + "   (" + explained.source + ")\n    " +
            std::string(setting.doc) + "\n    " + setting.environment_name() + "\n";
  }
  return show(globals, json::object{{"settings", std::move(items)}}, text);
}

}  // namespace

void add_server_commands(Commands& commands) {
  Globals& globals = commands.globals;
  {
    auto* command = commands.add(commands.root, "serve", "Run the platform, its runners included",
                                 "  bulkhead serve --data-dir data --listen 127.0.0.1:8080\n"
                                 "  PLATFORM_API_ADMIN_TOKEN=... bulkhead serve --config bulkhead.toml\n"
                                 "  bulkhead serve --data-dir data --set database.url=postgres://...");
    const auto options = add_config_options(command, "HOST:PORT (server.listen); port 0 picks a free one");
    commands.on_run(command, [&globals, options] {
      const auto loaded = load(*options, "server.listen");
      if (!loaded) return report(globals, loaded.error());
      const auto served = server::serve(loaded->config, server::Role::kPlatform);
      return served ? static_cast<int>(kOk) : report(globals, served.error());
    });
  }
  {
    auto* command = commands.add(commands.root, "runner", "Run runners only, for POST /v1/execute from elsewhere",
                                 "  bulkhead runner --data-dir data --listen 127.0.0.1:8090\n"
                                 "  bulkhead runner token --data-dir data");
    const auto options = add_config_options(command, "HOST:PORT (runner.listen)");
    auto* token = commands.add(*command, "token", "Print a service token for POST /v1/execute (5 minutes)",
                               "  curl -H \"Authorization: Bearer $(bulkhead runner token --data-dir data)\" ...");
    const auto token_options = add_config_options(token, "");
    commands.on_run(token, [&globals, token_options] {
      const auto loaded = load(*token_options, "runner.listen");
      if (!loaded) return report(globals, loaded.error());
      const auto text = server::make_runner_token(loaded->config);
      if (!text) return report(globals, text.error());
      return show(globals, json::object{{"token", *text}}, *text);
    });
    commands.on_run(command, [&globals, options, token] {
      if (token->parsed()) return static_cast<int>(kOk);
      const auto loaded = load(*options, "runner.listen");
      if (!loaded) return report(globals, loaded.error());
      const auto served = server::serve(loaded->config, server::Role::kRunnersOnly);
      return served ? static_cast<int>(kOk) : report(globals, served.error());
    });
  }
  {
    auto* command = commands.add(commands.root, "migrate", "Bring the database to this version, then end",
                                 "  bulkhead migrate --config bulkhead.toml");
    const auto options = add_config_options(command, "");
    commands.on_run(command, [&globals, options] {
      const auto loaded = load(*options, "server.listen");
      if (!loaded) return report(globals, loaded.error());
      const auto migrated = server::migrate_database(loaded->config);
      if (!migrated) return report(globals, migrated.error());
      return show(globals, json::object{{"migrated", true}}, "The database is at this version.");
    });
  }
  {
    auto* config = commands.root.add_subcommand("config", "The configuration");
    config->require_subcommand(1);
    auto* command = commands.add(*config, "explain", "Show every setting, its value and where it comes from",
                                 "  bulkhead config explain --config bulkhead.toml");
    const auto options = add_config_options(command, "");
    commands.on_run(command, [&globals, options] { return run_explain(globals, *options); });
  }
  {
    auto* command = commands.add(commands.root, "version", "Show the version", "  bulkhead version --json");
    commands.on_run(command, [&globals] {
      return show(globals, json::object{{"version", server::kVersion}}, "bulkhead " + std::string(server::kVersion));
    });
  }
}

}  // namespace bulkhead::cli
