#include "cli/main.h"

#include <sodium.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <span>
#include <string>

#include "base/json.h"
#include "cli/api_client.h"
#include "cli/command.h"
#include "platform/process/posix_signals.h"
#include "server/version.h"

namespace bulkhead::cli {
namespace {

constexpr const char* kFooter =
    "Server and credential: --server/BULKHEAD_SERVER and --token/BULKHEAD_TOKEN, else what `bulkhead login` kept.\n"
    "Examples:\n"
    "  bulkhead serve --data-dir data --listen 127.0.0.1:8080\n"
    "  bulkhead ext new com.example.visits && cd com.example.visits && bulkhead ext build && bulkhead ext test\n"
    "  bulkhead COMMAND --help\n\n";

struct Problem {
  std::string message, next;
};

// The first word that should name a command and does not. Options before it are the program's own.
std::optional<Problem> unknown_command(const CLI::App& root, int argc, char** argv) {
  const CLI::App* at = &root;
  std::string path = "bulkhead";
  for (int i = 1; i < argc && at->get_require_subcommand_min() > 0; ++i) {
    const std::string_view word = argv[i];
    if (word == "--server" || word == "--token") ++i;  // their value
    if (word.starts_with('-')) continue;
    const CLI::App* next = nullptr;
    std::vector<std::string_view> names;
    for (const CLI::App* one : at->get_subcommands([](const CLI::App*) { return true; })) {
      if (one->get_name() == word) next = one;
      if (!one->get_group().empty()) names.push_back(one->get_name());
    }
    if (next == nullptr) {
      std::string message = path + " has no command \"" + std::string(word) + "\"";
      const auto nearest = nearest_name(word, names);
      message += nearest ? "; did you mean \"" + *nearest + "\"?" : ".";
      return Problem{std::move(message), path + " --help"};
    }
    at = next;
    path += " " + std::string(word);
  }
  return std::nullopt;
}

// "bulkhead ext install": as far as the command line was understood.
std::string parsed_command(const CLI::App& root) {
  std::string path = "bulkhead";
  for (const CLI::App* at = &root; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  return path;
}

bool wants_json(int argc, char** argv) {
  return std::ranges::any_of(std::span(argv, static_cast<std::size_t>(argc)),
                             [](const char* word) { return std::string_view(word) == "--json"; });
}

}  // namespace

int run(int argc, char** argv) {
  process::ignore_sigpipe();
  if (sodium_init() < 0) return kFailed;
  CLI::App root("Bulkhead: run other people's code next to your own product.", "bulkhead");
  root.require_subcommand(1);
  root.fallthrough();
  root.footer(std::string(kFooter) + kExitCodes);
  root.set_version_flag("--version", "bulkhead " + std::string(server::kVersion), "Show the version");
  Globals globals;
  root.add_flag("--json", globals.json, "One JSON document on standard output, errors as JSON on standard error");
  root.add_option("--server", globals.server, "Server's URL");
  root.add_option("--token", globals.token, "API key or administrator's token; the environment is safer");
  Commands commands{root, globals};
  CLI::App* ext = root.add_subcommand("ext", "Extensions: make, test, sign, publish, install, call");
  ext->require_subcommand(1);
  ext->fallthrough();
  add_server_commands(commands);
  add_author_commands(commands, *ext);
  add_extension_commands(commands, *ext);
  add_event_commands(commands, *ext);
  add_quarantine_commands(commands, *ext);
  add_secret_commands(commands, *ext);
  add_admin_commands(commands);
  add_completion_command(commands);
  add_internal_commands(commands);
  root.parse_complete_callback([&globals] { fill_from_environment(globals); });
  commands.show_group_examples();
  const auto usage = [&](const std::string& message, const std::string& next) {
    globals.json = globals.json || wants_json(argc, argv);
    return report_problem(globals, "usage", message, next, kUsage);
  };
  if (const auto wrong = unknown_command(root, argc, argv)) return usage(wrong->message, wrong->next);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return root.exit(error);  // --help, --version
    return usage(error.what() + std::string("."), parsed_command(root) + " --help");
  }
  return commands.exit_code;
}

}  // namespace bulkhead::cli
