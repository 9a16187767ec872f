// `bulkhead ext secret set|delete|list`: an install's secrets. A value comes from a file or standard input, never from
// the command line, which other users of the machine can read.
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <iterator>

#include "base/secret_string.h"
#include "cli/extension_api.h"
#include "platform/process/file.h"

namespace bulkhead::cli {
namespace {

constexpr Bytes kMaxSecret = 64_KiB;

struct SecretOptions {
  std::string install;
  std::string key;
  std::string file;
};

// What is typed does not show while this lives.
class HiddenTyping {
 public:
  HiddenTyping() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios hidden = before_;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0;
  }
  ~HiddenTyping() {
    if (!changed_) return;
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    std::fputc('\n', stderr);
  }
  HiddenTyping(const HiddenTyping&) = delete;
  HiddenTyping& operator=(const HiddenTyping&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

// Without the line break that a shell or an editor puts at its end.
Result<std::string> value_from_input(const Globals& globals) {
  std::string value;
  if (::isatty(STDIN_FILENO) != 0) {
    note(globals, "Type or paste the value (it does not show), then Enter:");
    const HiddenTyping hidden;
    std::getline(std::cin, value);
    return value;
  }
  value.reserve(kMaxSecret.value + 2);
  for (int c = std::getchar(); c != EOF && value.size() <= kMaxSecret.value + 1; c = std::getchar()) {
    value.push_back(static_cast<char>(c));
  }
  if (value.ends_with('\n')) value.pop_back();
  if (value.ends_with('\r')) value.pop_back();
  return value;
}

ApiRequest secrets_request(const Globals& globals, const json::object& install, const std::string& key) {
  ApiRequest request;
  request.path = "/api/installs/" + text_of(install, "id") + "/secrets";
  if (!key.empty()) request.path += "/" + net::percent_encode(key);
  request.organization = globals.organization;
  return request;
}

int run_set(const Globals& globals, const SecretOptions& options) {
  auto value = options.file.empty() ? value_from_input(globals) : process::read_file(options.file, kMaxSecret);
  if (!value) return report(globals, value.error());
  const WipeAtExit wiped(*value);
  ApiClient client(globals);
  const auto install = find_install(client, options.install, globals.organization);
  if (!install) return report(globals, install.error());
  ApiRequest request = secrets_request(globals, *install, options.key);
  const WipeAtExit sent(request.raw_body);
  request.method = "PUT";
  request.raw_body = *value;
  request.content_type = "text/plain; charset=utf-8";
  const auto answer = client.call(request);
  if (!answer) return report(globals, answer.error());
  return show(globals, json::object{{"key", options.key}, {"set", true}},
              "Set " + options.key + " of " + options.install + ". The next call of the extension sees it.");
}

int run_delete(const Globals& globals, const SecretOptions& options) {
  ApiClient client(globals);
  const auto install = find_install(client, options.install, globals.organization);
  if (!install) return report(globals, install.error());
  ApiRequest request = secrets_request(globals, *install, options.key);
  request.method = "DELETE";
  const auto answer = client.call(request);
  if (!answer) return report(globals, answer.error());
  return show(globals, json::object{{"key", options.key}, {"deleted", true}},
              "Deleted " + options.key + " of " + options.install + ".");
}

int run_secret_list(const Globals& globals, const SecretOptions& options) {
  ApiClient client(globals);
  const auto install = find_install(client, options.install, globals.organization);
  if (!install) return report(globals, install.error());
  const auto answer = client.call(secrets_request(globals, *install, ""));
  if (!answer) return report(globals, answer.error());
  const json::value body = answer->json();
  std::vector<std::vector<std::string>> rows;
  if (const json::value* items = body.is_object() ? body.get_object().if_contains("items") : nullptr;
      items != nullptr && items->is_array()) {
    for (const json::value& item : items->get_array()) {
      if (!item.is_object()) continue;
      const json::object& secret = item.get_object();
      rows.push_back({text_of(secret, "key"), text_of(secret, "updated_at"), text_of(secret, "updated_by")});
    }
  }
  const std::string text = table({"KEY", "SET AT", "BY"}, rows);
  return show(globals, body, text.empty() ? "No secrets are set." : text);
}

}  // namespace

void add_secret_commands(Commands& commands, CLI::App& ext) {
  Globals& globals = commands.globals;
  auto* secret = ext.add_subcommand("secret", "Secrets of an install: set, delete, list names");
  secret->require_subcommand(1);
  secret->fallthrough();
  const auto add = [&](const std::string& name, const std::string& description, const std::string& examples) {
    auto* command = commands.add(*secret, name, description, examples);
    auto options = std::make_shared<SecretOptions>();
    command->add_option("install", options->install, "Extension's name or id, or the install's id")->required();
    add_org_option(command, globals);
    return std::pair(command, std::move(options));
  };
  {
    auto [command, options] = add("set", "Set a secret that the manifest declares; it can't be read back",
                                  "  bulkhead ext secret set com.example.orders api_key < key.txt\n"
                                  "  bulkhead ext secret set com.example.orders tls_key --from-file key.pem");
    command->add_option("key", options->key, "Name, as in the manifest's secrets")->required();
    command->add_option("--from-file", options->file,
                        "File with the exact value (default: standard input, without its last line break)");
    commands.on_run(command, [&globals, held = options] { return run_set(globals, *held); });
  }
  {
    auto [command, options] =
        add("delete", "Delete a secret", "  bulkhead ext secret delete com.example.orders api_key");
    command->add_option("key", options->key, "Name")->required();
    commands.on_run(command, [&globals, held = options] { return run_delete(globals, *held); });
  }
  {
    auto [command, options] = add("list", "List the names of an install's secrets and when they were set",
                                  "  bulkhead ext secret list com.example.orders --json");
    commands.on_run(command, [&globals, held = options] { return run_secret_list(globals, *held); });
  }
}

}  // namespace bulkhead::cli
