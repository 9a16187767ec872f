#include "cli/command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/bytes.h"
#include "platform/process/file.h"

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

// What somebody at this machine can do; the registry's actions are for callers of the server.
std::string_view local_next(ErrorCode code) {
  switch (code) {
    case ErrorCode::kBadRequest:
    case ErrorCode::kUnprocessable:
    case ErrorCode::kInvalidManifest:
      return "";
    case ErrorCode::kStoreUnavailable:
      return "Check that the database runs, and database.url (bulkhead config explain).";
    case ErrorCode::kNotFound:
      return "Check the path.";
    case ErrorCode::kManifestNotFound:
      return "Name the folder that holds manifest.json; bulkhead ext new makes one.";
    case ErrorCode::kInvalidPath:
      return "Name a file of another path.";
    case ErrorCode::kAlreadyExists:
      return "Name another, or remove it first.";
    case ErrorCode::kInvalidJson:
      return "Correct the file at that place.";
    case ErrorCode::kForbidden:
    case ErrorCode::kInternal:
      return "Check that this user may read and write it.";
    case ErrorCode::kConflict:
    case ErrorCode::kUnavailable:
      return "";
    default:
      return error_info(code).action;
  }
}

// Errors of system calls have no message, only a detail: "open nofile: No such file or directory".
std::string local_message(const Error& error) {
  if (!error.message.empty()) return tidy(error.message);
  if (error.detail.empty()) return std::string(error_info(error.code).title) + ".";
  std::string text = error.detail;
  for (const std::string_view operation : {"open ", "create ", "mkdir ", "read ", "rename "}) {
    if (text.starts_with(operation) && !text.substr(operation.size()).starts_with(':')) {
      text.erase(0, operation.size());
      break;
    }
  }
  return tidy(text + ".");
}

int exit_code_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::kStoreUnavailable:
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

void Commands::show_group_examples() {
  constexpr std::string_view kTitle = "Examples:\n";
  const auto is_shown = [](const CLI::App* app) { return !app->get_group().empty(); };
  // The first example of each command below `group`.
  const std::function<std::string(CLI::App&)> collect = [&](CLI::App& group) {
    std::string text;
    for (CLI::App* command : group.get_subcommands(is_shown)) {
      if (!command->get_subcommands(is_shown).empty() && command->get_require_subcommand_min() > 0) {
        const std::string below = collect(*command);
        command->footer(std::string(kTitle) + below + "\n" + kExitCodes);
        text += below.substr(0, below.find('\n') + 1);
        continue;
      }
      const std::string footer = command->get_footer();
      if (!footer.starts_with(kTitle)) continue;
      text += footer.substr(kTitle.size(), footer.find('\n', kTitle.size()) + 1 - kTitle.size());
    }
    return text;
  };
  collect(root);
}

void Commands::on_run(CLI::App* command, std::function<int()> action) {
  command->callback([this, action = std::move(action)] { exit_code = action(); });
}

int report(const Globals& globals, const Error& error, const std::string& next) {
  const std::string message = local_message(error);
  const std::string step = next.empty() ? std::string(local_next(error.code)) : next;
  if (globals.json) {
    json::array fields;
    for (const FieldError& field : error.fields) {
      fields.push_back({{"pointer", field.pointer}, {"message", field.message}});
    }
    json::object body{{"code", error.wire_code()}, {"message", message}, {"next", step}};
    if (!fields.empty()) body["errors"] = std::move(fields);
    std::fprintf(stderr, "%s\n", json::serialize(json::object{{"error", std::move(body)}}).c_str());
    return exit_code_of(error);
  }
  std::fprintf(stderr, "error: %s\n", message.c_str());
  for (const FieldError& field : error.fields) {
    if (message.find(field.message) != std::string::npos) continue;  // said already
    std::fprintf(stderr, "  %s %s\n", field.pointer.empty() ? "/" : field.pointer.c_str(), field.message.c_str());
  }
  if (!error.message.empty() && !error.detail.empty()) std::fprintf(stderr, "  (%s)\n", error.detail.c_str());
  if (!step.empty()) std::fprintf(stderr, "  next: %s\n", step.c_str());
  return exit_code_of(error);
}

int report_problem(const Globals& globals, std::string_view code, const std::string& message, const std::string& next,
                   int exit_code) {
  if (globals.json) {
    const json::object body{{"code", code}, {"message", tidy(message)}, {"next", next}};
    std::fprintf(stderr, "%s\n", json::serialize(json::object{{"error", body}}).c_str());
    return exit_code;
  }
  std::fprintf(stderr, "error: %s\n", tidy(message).c_str());
  if (!next.empty()) std::fprintf(stderr, "  next: %s\n", next.c_str());
  return exit_code;
}

std::string tidy(std::string text) {
  while (text.ends_with("?.") || (text.ends_with("..") && !text.ends_with("..."))) text.pop_back();
  return text;
}

std::string with_place(const std::string& path, const std::string& message) {
  constexpr std::string_view kWhere = " at line ", kColumn = ", column ", kOurs = "The body is ";
  std::string text = message;
  std::string place = path;
  if (const std::size_t at = text.rfind(kWhere), comma = text.rfind(kColumn);
      at != std::string::npos && comma != std::string::npos && comma > at) {
    std::string column = text.substr(comma + kColumn.size());
    if (column.ends_with('.')) column.pop_back();
    place += ":" + text.substr(at + kWhere.size(), comma - at - kWhere.size()) + ":" + column;
    text = text.substr(0, at) + ".";
  }
  if (const std::size_t ours = text.find(kOurs); ours != std::string::npos) text.erase(0, ours + kOurs.size());
  return tidy(place + ": " + text);
}

Result<json::value> read_json_file(const std::string& path) {
  BH_TRY(const std::string text, process::read_file(path, 1_MiB));
  auto value = parse_json(text);
  if (!value) return fail(value.error().code, with_place(path, value.error().message));
  return value;
}

std::string next_for_folder(const Error& error, const std::string& folder) {
  const bool entry =
      error.code == ErrorCode::kBundleInvalid && !error.fields.empty() && error.fields.front().pointer == "/entry";
  return entry ? "bulkhead ext build " + folder : "";
}

CLI::Option* add_org_option(CLI::App* command, Globals& globals) {
  return command
      ->add_option("--org", globals.organization,
                   "Organization (slug or id); needed with the administrator's token only")
      ->envname("BULKHEAD_ORG");
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
  widths.reserve(header.size());
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
