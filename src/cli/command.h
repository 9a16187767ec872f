// What every command of `bulkhead` has: where the server is, who asks, and how answers are shown.
//
// Commands are functions that return an exit code. Results go to standard output (text for people, one JSON document
// with
// --json), progress and errors to standard error. An error says what to do next and decides the exit code.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/json.h"

namespace bulkhead::cli {

// Scripts rely on them; every command's --help lists them.
enum ExitCode : int {
  kOk = 0,
  kFailed = 1,       // anything not named below
  kUsage = 2,        // the command line is not valid
  kRefused = 3,      // the server answered 4xx
  kUnreachable = 4,  // no server or database, or it answered 5xx
  kTestsFailed = 5,  // `ext test`: a test did not pass
};
inline constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the server refused (4xx), 4 no server, no database or 5xx, 5 tests "
    "failed.";

struct Globals {
  bool json = false;
  std::string server;        // --server, BULKHEAD_SERVER, or the login file's
  std::string token;         // --token, BULKHEAD_TOKEN, or the login file's
  std::string organization;  // --org where a command takes one
};

// A command is registered with its options and runs when it was the one that was parsed.
struct Commands {
  CLI::App& root;
  Globals& globals;
  int exit_code = kOk;

  // Makes `parent NAME`, with examples and the exit codes shown below its help.
  CLI::App* add(CLI::App& parent, const std::string& name, const std::string& description,
                const std::string& examples = {});
  // Gives each group the examples of its own commands. Once, after all were added.
  void show_group_examples();
  // `action` runs after parsing and sets the exit code.
  void on_run(CLI::App* command, std::function<int()> action);
};

// Prints the error and its next step (that of the error's code where `next` is empty); gives its exit code.
int report(const Globals& globals, const Error& error, const std::string& next = {});
// The same for a code that the registry does not have, such as "usage".
int report_problem(const Globals& globals, std::string_view code, const std::string& message, const std::string& next,
                   int exit_code);
// A file that the user named, as JSON; what is wrong with it is said as FILE:LINE:COLUMN.
Result<json::value> read_json_file(const std::string& path);
// `message` of an error about the JSON text of `path`, with the place in front: "tests/a.json:3:5: …".
std::string with_place(const std::string& path, const std::string& message);
// No ".." or "?." at the end, which texts put together have.
std::string tidy(std::string text);
// What to do about a folder that can't be packed: build it, where only the entry is missing.
std::string next_for_folder(const Error& error, const std::string& folder);
// Prints `value` with --json, else `text`.
int show(const Globals& globals, const json::value& value, const std::string& text);
// --org, or BULKHEAD_ORG.
CLI::Option* add_org_option(CLI::App* command, Globals& globals);

// A line on standard error, unless it is not a terminal and --json is on.
void note(const Globals& globals, const std::string& text);

// Rows as aligned columns with a header; "" when there are none.
std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);
// JSON with two spaces of indentation.
std::string pretty(const json::value& value);

// --- the groups ------------------------------------------------------------------------------------------------------
void add_server_commands(Commands& commands);                     // serve, runner, migrate, config, version
void add_internal_commands(Commands& commands);                   // runner-process, compiler: run by serve, hidden
void add_author_commands(Commands& commands, CLI::App& ext);      // ext new|validate|build|pack|keygen|sign|verify|test
void add_extension_commands(Commands& commands, CLI::App& ext);   // ext publish|install|list|invoke|logs|rollback …
void add_install_commands(Commands& commands, CLI::App& ext);     // ext install|rollout|versions
void add_event_commands(Commands& commands, CLI::App& ext);       // ext subscriptions|dead-letters|schedules …
void add_quarantine_commands(Commands& commands, CLI::App& ext);  // ext quarantine list|release
void add_secret_commands(Commands& commands, CLI::App& ext);      // ext secret set|delete|list
void add_admin_commands(Commands& commands);                      // org, key, trust, login
void add_completion_command(Commands& commands);

}  // namespace bulkhead::cli
