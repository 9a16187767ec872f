// `bulkhead completion bash|zsh|fish`: a completion script generated from the commands themselves.
#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace bulkhead::cli {
namespace {

struct Node {
  std::string path;  // "bulkhead ext publish"
  std::string subcommands;
  std::string words;  // what may follow: subcommands and long options
};

void collect(const CLI::App& app, const std::string& path, std::vector<Node>& nodes) {
  Node node{path, {}, {}};
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); })) {
    node.subcommands += (node.subcommands.empty() ? "" : " ") + sub->get_name();
  }
  node.words = node.subcommands;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) node.words += (node.words.empty() ? "--" : " --") + name;
  }
  nodes.push_back(std::move(node));
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); })) {
    collect(*sub, path + " " + sub->get_name(), nodes);
  }
}

std::string cases(const std::vector<Node>& nodes) {
  std::string text;
  for (const Node& node : nodes) text += "    \"" + node.path + "\") words=\"" + node.words + "\" ;;\n";
  return text;
}

std::string bash_script(const std::vector<Node>& nodes) {
  return "_bulkhead() {\n"
         "  local path=bulkhead word words=\"\" i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    word=${COMP_WORDS[i]}\n"
         "    case $word in -*) ;; *) case $(_bulkhead_words \"$path\") in *\" $word \"*) path=\"$path $word\" ;; esac "
         ";; esac\n"
         "  done\n"
         "  words=$(_bulkhead_words \"$path\")\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
         "  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
         "}\n"
         "_bulkhead_words() {\n"
         "  local words=\"\"\n"
         "  case $1 in\n" +
         cases(nodes) +
         "  esac\n"
         "  echo \" $words \"\n"
         "}\n"
         "complete -F _bulkhead bulkhead\n";
}

std::string fish_script(const std::vector<Node>& nodes) {
  std::string text = "complete -c bulkhead -e\n";
  for (const Node& node : nodes) {
    std::string condition;
    const std::string rest = node.path.size() > 8 ? node.path.substr(9) : "";
    if (rest.empty()) {
      condition = "__fish_use_subcommand";
    } else {
      std::size_t at = 0;
      while (at <= rest.size()) {
        const std::size_t end = std::min(rest.find(' ', at), rest.size());
        condition += (condition.empty() ? "" : "; and ") + ("__fish_seen_subcommand_from " + rest.substr(at, end - at));
        at = end + 1;
      }
    }
    // Below a command that was chosen, only what that one offers.
    if (!rest.empty() && !node.subcommands.empty())
      condition += "; and not __fish_seen_subcommand_from " + node.subcommands;
    text += "complete -c bulkhead -n '" + condition + "' -a '" + node.words + "'\n";
  }
  return text;
}

}  // namespace

void add_completion_command(Commands& commands) {
  auto* command = commands.add(commands.root, "completion", "Print a shell's completion script",
                               "  bulkhead completion bash > /etc/bash_completion.d/bulkhead\n"
                               "  bulkhead completion fish > ~/.config/fish/completions/bulkhead.fish");
  const auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  commands.on_run(command, [&commands, shell] {
    std::vector<Node> nodes;
    collect(commands.root, "bulkhead", nodes);
    if (*shell == "fish") {
      std::printf("%s", fish_script(nodes).c_str());
    } else {
      // zsh runs bash completions once bashcompinit is loaded.
      if (*shell == "zsh") std::printf("autoload -U +X bashcompinit && bashcompinit\n");
      std::printf("%s", bash_script(nodes).c_str());
    }
    return static_cast<int>(kOk);
  });
}

}  // namespace bulkhead::cli
