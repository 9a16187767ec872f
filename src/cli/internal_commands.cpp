// `bulkhead runner-process` and `bulkhead compiler`: what serve starts as its children. Hidden from help.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/bytes.h"
#include "cli/command.h"
#include "runner/compile_command.h"
#include "runner/runner.h"

namespace bulkhead::cli {
namespace {

constexpr int kFirstChannelFd = 3;

struct RunnerArguments {
  int channels = 1;
  int listener = -1;
  std::string code_key;
  std::string service_key;
  std::uint32_t slots = 256;
  std::vector<std::string> required_layers;
};

std::optional<std::array<std::uint8_t, 32>> parse_key(const std::string& text) {
  const auto bytes = hex_decode(text);
  if (!bytes || bytes->size() != 32) return std::nullopt;
  std::array<std::uint8_t, 32> key{};
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return key;
}

void add_required_layers(CLI::App* command, std::vector<std::string>& into) {
  command->add_option("--require-layers", into, "Sandbox layers that must be active")->delimiter(',');
}

int run_runner(const Globals& globals, const RunnerArguments& arguments) {
  runner::RunnerOptions options;
  for (int i = 0; i < arguments.channels; ++i) options.channels.push_back(kFirstChannelFd + i);
  options.http_listener = arguments.listener;
  const auto code_key = parse_key(arguments.code_key);
  if (!code_key) return report(globals, fail(ErrorCode::kBadRequest, "--code-key takes 64 hex digits.").error());
  options.code_key = *code_key;
  options.service_key = parse_key(arguments.service_key);
  options.engine.slots = arguments.slots;
  options.required_layers = arguments.required_layers;
  // What an operator should know of a healthy runner its supervisor logs.
  options.log_level = log::Level::kWarn;
  const auto ended = runner::run(options);
  return ended ? static_cast<int>(kOk) : report(globals, ended.error());
}

}  // namespace

void add_internal_commands(Commands& commands) {
  const Globals& globals = commands.globals;
  {
    auto* command = commands.add(commands.root, "runner-process", "One runner; started by serve");
    command->group("");
    const auto arguments = std::make_shared<RunnerArguments>();
    command->add_option("--channels", arguments->channels, "Inherited channels, from descriptor 3 on")->required();
    command->add_option("--listener-fd", arguments->listener, "Inherited listening socket");
    command->add_option("--code-key", arguments->code_key, "Public key of machine code")->required();
    command->add_option("--service-key", arguments->service_key, "Public key of service tokens");
    command->add_option("--slots", arguments->slots, "Executions alive at once");
    add_required_layers(command, arguments->required_layers);
    commands.on_run(command, [&globals, arguments] { return run_runner(globals, *arguments); });
  }
  {
    auto* command = commands.add(commands.root, "compiler", "One compile; started by serve");
    command->group("");
    const auto options = std::make_shared<runner::CompileOptions>();
    add_required_layers(command, options->required_layers);
    commands.on_run(command, [options] { return runner::run_compiler(*options); });
  }
}

}  // namespace bulkhead::cli
