#include "cli/command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace bulkhead::cli {
namespace {

void append_pretty(std::string& out, const json::value& value, std::size_t depth) {
  const std::string inner((depth + 1) * 2, ' ');
  const std::string outer(depth * 2, ' ');
  if (value.is_object() && !value.get_object().empty()) {
    out += "{\n";
    bool first = true;
    for (const auto& member : value.get_object()) {
      out += first ? "" : ",\n";
      first = false;
      out += inner + json::serialize(json::string_view(member.key())) + ": ";
      append_pretty(out, member.value(), depth + 1);
    }
    out += "\n" + outer + "}";
  } else if (value.is_array() && !value.get_array().empty()) {
    out += "[\n";
    bool first = true;
    for (const json::value& item : value.get_array()) {
      out += (first ? "" : ",\n") + inner;
      first = false;
      append_pretty(out, item, depth + 1);
    }
    out += "\n" + outer + "]";
  } else {
    out += json::serialize(value);
  }
}

int exit_code_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
      return kUnreachable;
    default:
      return kFailed;
  }
}

}  // namespace

CLI::App* Commands::add(CLI::App& parent, const std::string& name, const std::string& description,
                        const std::string& examples) {
  CLI::App* command = parent.add_subcommand(name, description);
  // Without any it shows the program's own, which CLI11 inherits.
  if (!examples.empty()) command->footer("Examples:\n" + examples + "\n\n" + kExitCodes);
  return command;
}

void Commands::on_run(CLI::App* command, std::function<int()> action) {
  command->callback([this, action = std::move(action)] { exit_code = action(); });
}

int report(const Globals& globals, const Error& error) {
  const std::string message = error.message.empty() ? std::string(error_info(error.code).title) + "." : error.message;
  if (globals.json) {
    json::array fields;
    for (const FieldError& field : error.fields) {
      fields.push_back({{"pointer", field.pointer}, {"message", field.message}});
    }
    json::object body{{"code", error.wire_code()}, {"message", message}};
    if (!fields.empty()) body["errors"] = std::move(fields);
    std::fprintf(stderr, "%s\n", json::serialize(json::object{{"error", std::move(body)}}).c_str());
    return exit_code_of(error);
  }
  std::fprintf(stderr, "error: %s\n", message.c_str());
  for (const FieldError& field : error.fields) {
    std::fprintf(stderr, "  %s %s\n", field.pointer.empty() ? "/" : field.pointer.c_str(), field.message.c_str());
  }
  if (!error.detail.empty()) std::fprintf(stderr, "  (%s)\n", error.detail.c_str());
  if (const std::string_view action = error_info(error.code).action; !action.empty()) {
    std::fprintf(stderr, "  next: %.*s\n", static_cast<int>(action.size()), action.data());
  }
  return exit_code_of(error);
}

int show(const Globals& globals, const json::value& value, const std::string& text) {
  if (globals.json) {
    std::printf("%s\n", json::serialize(value).c_str());
  } else if (!text.empty()) {
    std::printf("%s%s", text.c_str(), text.ends_with('\n') ? "" : "\n");
  }
  return kOk;
}

void note(const Globals& globals, const std::string& text) {
  if (globals.json && ::isatty(STDERR_FILENO) == 0) return;
  std::fprintf(stderr, "%s\n", text.c_str());
}

std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return "";
  std::vector<std::size_t> widths;
  for (const auto& title : header) widths.push_back(title.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      line += cells[i];
      if (i + 1 < cells.size()) line += std::string(widths[i] - cells[i].size() + 2, ' ');
    }
    text += line + "\n";
  };
  add_line(header);
  for (const auto& row : rows) add_line(row);
  return text;
}

std::string pretty(const json::value& value) {
  std::string out;
  append_pretty(out, value, 0);
  return out;
}

}  // namespace bulkhead::cli
