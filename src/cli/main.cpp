#include "cli/main.h"

#include <sodium.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/api_client.h"
#include "cli/command.h"
#include "platform/process/posix_signals.h"

namespace bulkhead::cli {
namespace {

constexpr const char* kFooter =
    "Server and credential: --server/BULKHEAD_SERVER and --token/BULKHEAD_TOKEN, else what `bulkhead login` kept.\n"
    "Examples:\n"
    "  bulkhead serve --data-dir data --listen 127.0.0.1:8080\n"
    "  bulkhead ext new com.example.visits && cd com.example.visits && bulkhead ext build && bulkhead ext test\n"
    "  bulkhead COMMAND --help\n\n";

}  // namespace

int run(int argc, char** argv) {
  process::ignore_sigpipe();
  if (sodium_init() < 0) return kFailed;
  CLI::App root("Bulkhead: run other people's code next to your own product.", "bulkhead");
  root.require_subcommand(1);
  root.fallthrough();
  root.footer(std::string(kFooter) + kExitCodes);
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
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = root.exit(error);
    return code == 0 ? kOk : kUsage;
  }
  return commands.exit_code;
}

}  // namespace bulkhead::cli
