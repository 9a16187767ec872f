// `bulkhead ext subscriptions|dead-letters|schedules …`: what an install does of its own accord.
#include <CLI/CLI.hpp>

#include "cli/extension_api.h"

namespace bulkhead::cli {
namespace {

using Rows = std::vector<std::vector<std::string>>;

Answer<std::string> install_path(ApiClient& client, const Globals& globals, const std::string& extension) {
  const auto install = find_install(client, extension, globals.organization);
  if (!install) return std::unexpected(install.error());
  return "/api/installs/" + text_of(*install, "id");
}

struct Ask {
  std::string extension;
  std::string method = "GET";
  std::string place;  // below the install
  std::optional<json::value> body;
};
Answer<json::value> ask(const Globals& globals, const Ask& wanted) {
  ApiClient client(globals);
  const auto path = install_path(client, globals, wanted.extension);
  if (!path) return std::unexpected(path.error());
  ApiRequest request;
  request.method = wanted.method;
  request.path = *path + wanted.place;
  request.organization = globals.organization;
  request.body = wanted.body;
  const auto answer = client.call(request);
  if (!answer) return std::unexpected(answer.error());
  return answer->json();
}

// One row for each of the answer's items.
int show_items(const Globals& globals, const json::value& body, const std::vector<std::string>& header,
               const std::string& nothing, const std::function<std::vector<std::string>(const json::object&)>& row_of) {
  Rows rows;
  if (body.is_object() && body.get_object().contains("items")) {
    for (const json::value& item : body.at("items").as_array()) rows.push_back(row_of(item.as_object()));
  }
  const std::string text = table(header, rows);
  return show(globals, body, text.empty() ? nothing : text);
}

std::string json_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr ? "" : json::serialize(*value);
}

std::string yes_or_no(const json::object& object, std::string_view name) {
  return json_of(object, name) == "true" ? "yes" : "no";
}

std::string error_of(const json::object& object) {
  const json::value* error = object.if_contains("error");
  return error != nullptr && error->is_object() ? text_of(error->get_object(), "code") : "";
}

int run_subscriptions(const Globals& globals, const std::string& extension) {
  const auto body = ask(globals, {.extension = extension, .place = "/subscriptions", .body = {}});
  if (!body) return report(globals, body.error());
  return show_items(globals, *body, {"ID", "TOPIC", "HANDLER", "ENABLED", "FILTER"}, "No subscriptions.",
                    [](const json::object& one) -> std::vector<std::string> {
                      return {text_of(one, "id"), text_of(one, "topic"), text_of(one, "handler"),
                              yes_or_no(one, "enabled"), json_of(one, "filter")};
                    });
}

int run_dead_letters(const Globals& globals, const std::string& extension) {
  const auto body = ask(globals, {.extension = extension, .place = "/dead-letters", .body = {}});
  if (!body) return report(globals, body.error());
  return show_items(globals, *body, {"ID", "TOPIC", "EVENT", "ATTEMPTS", "DIED", "ERROR"}, "No dead letters.",
                    [](const json::object& one) -> std::vector<std::string> {
                      return {text_of(one, "id"),       text_of(one, "topic"),   text_of(one, "event_id"),
                              json_of(one, "attempts"), text_of(one, "died_at"), error_of(one)};
                    });
}

int run_redrive(const Globals& globals, const std::string& extension, const std::string& id) {
  const json::object wanted = id.empty() ? json::object{{"all", true}} : json::object{{"id", id}};
  const auto body =
      ask(globals,
          {.extension = extension, .method = "POST", .place = "/dead-letters/redrive", .body = json::value(wanted)});
  if (!body) return report(globals, body.error());
  return show(globals, *body, "Delivering " + json_of(body->as_object(), "redriven") + " again.");
}

int run_schedules(const Globals& globals, const std::string& extension) {
  const auto body = ask(globals, {.extension = extension, .place = "/schedules", .body = {}});
  if (!body) return report(globals, body.error());
  return show_items(
      globals, *body, {"ID", "CRON", "TIME ZONE", "ENABLED", "NEXT", "LAST"}, "No schedules.",
      [](const json::object& one) -> std::vector<std::string> {
        const json::array& firings = one.at("firings").as_array();
        return {text_of(one, "id"),       text_of(one, "cron"),
                text_of(one, "timezone"), yes_or_no(one, "enabled"),
                text_of(one, "next_at"),  firings.empty() ? "never" : text_of(firings.front().as_object(), "state")};
      });
}

int run_schedule(const Globals& globals, const std::string& extension, const std::string& id) {
  const auto body =
      ask(globals, {.extension = extension, .method = "POST", .place = "/schedules/" + id + "/run", .body = {}});
  if (!body) return report(globals, body.error());
  const json::object& firing = body->as_object();
  const std::string state = text_of(firing, "state");
  const int shown = show(globals, *body, "It ran: " + state + (state == "ok" ? "." : ", " + error_of(firing) + "."));
  return state == "ok" ? shown : static_cast<int>(kFailed);
}

int switch_schedule(const Globals& globals, const std::string& extension, const std::string& id, bool enabled) {
  const auto body = ask(globals, {.extension = extension,
                                  .method = "PATCH",
                                  .place = "/schedules/" + id,
                                  .body = json::value(json::object{{"enabled", enabled}})});
  if (!body) return report(globals, body.error());
  return show(globals, *body, enabled ? "Enabled." : "Disabled.");
}

// A command about an extension's install: its positional name and --org.
std::shared_ptr<std::string> about_extension(CLI::App* command, Globals& globals) {
  auto name = std::make_shared<std::string>();
  command->add_option("name", *name, "Extension's name or id")->required();
  add_org_option(command, globals);
  return name;
}

void add_dead_letter_commands(Commands& commands, CLI::App& ext) {
  Globals& globals = commands.globals;
  auto* group = commands.add(ext, "dead-letters", "Events that an install could not handle");
  group->require_subcommand(1);
  {
    auto* command =
        commands.add(*group, "list", "Show them, and why", "  bulkhead ext dead-letters list com.example.orders");
    const auto name = about_extension(command, globals);
    commands.on_run(command, [&globals, name] { return run_dead_letters(globals, *name); });
  }
  auto* command = commands.add(*group, "redrive", "Deliver one of them or all again",
                               "  bulkhead ext dead-letters redrive com.example.orders --all");
  const auto name = about_extension(command, globals);
  const auto id = std::make_shared<std::string>();
  auto* one = command->add_option("--id", *id, "Only this one");
  const auto all = std::make_shared<bool>(false);
  one->excludes(command->add_flag("--all", *all, "All of them"));
  commands.on_run(command, [&globals, name, id, all] {
    if (id->empty() && !*all) {
      return report(globals, fail(ErrorCode::kBadRequest, "Say which: --id ID, or --all.").error());
    }
    return run_redrive(globals, *name, *id);
  });
}

void add_schedule_commands(Commands& commands, CLI::App& ext) {
  Globals& globals = commands.globals;
  auto* group = commands.add(ext, "schedules", "When an install runs by itself");
  group->require_subcommand(1);
  {
    auto* command = commands.add(*group, "list", "Show them and their next times",
                                 "  bulkhead ext schedules list com.example.orders");
    const auto name = about_extension(command, globals);
    commands.on_run(command, [&globals, name] { return run_schedules(globals, *name); });
  }
  using Act = int (*)(const Globals&, const std::string&, const std::string&);
  const auto add_act = [&](const std::string& verb, const std::string& description, Act act) {
    auto* command =
        commands.add(*group, verb, description, "  bulkhead ext schedules " + verb + " com.example.orders nightly");
    const auto name = about_extension(command, globals);
    const auto id = std::make_shared<std::string>();
    command->add_option("id", *id, "The schedule's id")->required();
    commands.on_run(command, [&globals, name, id, act] { return act(globals, *name, *id); });
  };
  add_act("run", "Run one now and wait for its end", run_schedule);
  add_act("enable", "Let one run again", [](const Globals& all, const std::string& name, const std::string& id) {
    return switch_schedule(all, name, id, true);
  });
  add_act("disable", "Stop one", [](const Globals& all, const std::string& name, const std::string& id) {
    return switch_schedule(all, name, id, false);
  });
}

}  // namespace

void add_event_commands(Commands& commands, CLI::App& ext) {
  Globals& globals = commands.globals;
  auto* command = commands.add(ext, "subscriptions", "Show the events that an install handles",
                               "  bulkhead ext subscriptions com.example.orders");
  const auto name = about_extension(command, globals);
  commands.on_run(command, [&globals, name] { return run_subscriptions(globals, *name); });
  add_dead_letter_commands(commands, ext);
  add_schedule_commands(commands, ext);
}

}  // namespace bulkhead::cli
