// `bulkhead ext …` against a server: publish, list, invoke, logs, executions, rollback, enable, disable,
// uninstall.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <set>

#include "cli/execution_output.h"
#include "cli/extension_api.h"
#include "features/bundles/bundle_reader.h"
#include "platform/process/file.h"

namespace bulkhead::cli {
namespace {

constexpr Bytes kMaxSignature = 1_MiB;

int print_json_or(const Globals& globals, const json::value& value, const std::string& text) {
  return show(globals, value, text);
}

int run_publish(const Globals& globals, const std::string& file, const std::string& signature_file) {
  auto bundle = bundles::read_bundle_file(file);
  if (!bundle) return report(globals, bundle.error());
  PublishRequest request{bundle->manifest.name, file, {}, globals.organization};
  if (!signature_file.empty()) {
    auto signature = process::read_file(signature_file, kMaxSignature);
    if (!signature) return report(globals, signature.error());
    request.signature = std::move(*signature);
  }
  for (const std::string& notice : bundle->notices) note(globals, "note: " + notice);
  const std::string version = bundle->manifest.version.text();
  note(globals, "uploading " + std::to_string(bundle->archive.archive_size.value) + " bytes of " +
                    bundle->manifest.name + " " + version + "; the server verifies and compiles them ...");
  const auto started = std::chrono::steady_clock::now();
  ApiClient client(globals);
  const auto published = publish_version(client, request);
  if (!published) return report(globals, published.error());
  const auto took = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - started).count();
  return print_json_or(
      globals, *published,
      "Published " + bundle->manifest.name + " " + version + " in " + std::to_string(took) + " ms\n" +
          bundle->archive.content_hash.to_string() + "\nNext: bulkhead ext install " + bundle->manifest.name + "@" +
          version + (globals.organization.empty() ? "" : " --org " + globals.organization) +
          (bundle->manifest.capabilities.empty() ? "" : " --grant " + joined(bundle->manifest.capabilities, " ")));
}

int run_list(const Globals& globals, const std::string& what) {
  ApiClient client(globals);
  if (what == "installs") {
    const auto installs = list_installs(client, globals.organization);
    if (!installs) return report(globals, installs.error());
    json::array items;
    std::vector<std::vector<std::string>> rows;
    for (const json::object& install : *installs) {
      const json::value* enabled = install.if_contains("is_enabled");
      rows.push_back({text_of(install, "extension_name"), text_of(install, "version"), rollout_text(install),
                      text_of(install, "status"), enabled != nullptr && *enabled == true ? "yes" : "no",
                      text_of(install, "id")});
      items.emplace_back(install);
    }
    const std::string text = table({"EXTENSION", "VERSION", "ROLLOUT", "STATUS", "ENABLED", "ID"}, rows);
    return print_json_or(globals, json::object{{"items", std::move(items)}},
                         text.empty() ? "Nothing is installed." : text);
  }
  ApiRequest request;
  request.path = "/api/extensions?limit=200";
  request.organization = globals.organization;
  const auto answer = client.call(request);
  if (!answer) return report(globals, answer.error());
  const json::value body = answer->json();
  std::vector<std::vector<std::string>> rows;
  if (body.is_object() && body.get_object().contains("items")) {
    for (const json::value& item : body.at("items").as_array()) {
      const json::object& extension = item.as_object();
      rows.push_back({text_of(extension, "name"), text_of(extension, "latest_version"), text_of(extension, "id")});
    }
  }
  const std::string text = table({"EXTENSION", "LATEST", "ID"}, rows);
  return print_json_or(globals, body, text.empty() ? "No extension is published." : text);
}

struct InvokeOptions {
  std::string name;
  std::string method;
  std::string path;
  std::string data;
  std::string content_type = "application/json";
  std::string idempotency_key;
  bool include = false;
  bool report = false;
};

Result<std::string> invoke_body(const std::string& data) {
  if (data == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  if (data.starts_with('@')) return process::read_file(data.substr(1), 16_MiB);
  return data;
}

// The call's row of the execution log; nullopt, with a note, where there is none to be had.
std::optional<json::object> find_report(ApiClient& client, const Globals& globals, const InvokeOptions& options,
                                        const ApiAnswer& answer) {
  const std::string request_id(answer.headers.find("x-request-id").value_or(""));
  const auto install = find_install(client, options.name, globals.organization);
  const auto unavailable = [&](const std::string& why) {
    note(globals, "no report: " + why);
    return std::nullopt;
  };
  if (!install) return unavailable(install.error().message);
  auto execution = await_execution(client, globals.organization, text_of(*install, "id"), request_id);
  if (!execution) return unavailable(execution.error().message);
  if (!*execution) return unavailable("the execution log has no row of this call; it was refused before it began.");
  return std::move(*execution);
}

// What a refusal of the platform (not of the guest) means, on standard error.
void explain_refusal(ApiClient& client, const Globals& globals, const std::string& name, const ApiAnswer& answer) {
  std::fflush(stdout);
  const std::string type(answer.headers.find("content-type").value_or(""));
  if (!type.starts_with("application/problem+json")) {
    std::fprintf(stderr, "HTTP %d\n", answer.status);
    return;
  }
  std::fprintf(stderr, "\n");
  ApiRefusal refusal = refusal_of(answer);
  if (refusal.code == "endpoint_not_found") {
    if (const auto install = find_install(client, name, globals.organization)) {
      const std::string version = text_of(*install, "version");
      const auto versions = list_versions(client, text_of(*install, "extension_name"), globals.organization);
      const auto endpoints = versions ? summary_of(*versions, version).endpoints : std::vector<std::string>();
      if (!endpoints.empty()) refusal.next = "Call one of its endpoints: " + joined(endpoints) + ".";
    }
  }
  static_cast<void>(report(globals, refusal));
}

int run_invoke(const Globals& globals, const InvokeOptions& options) {
  ApiRequest request;
  request.method = options.method;
  std::ranges::transform(request.method, request.method.begin(), [](unsigned char c) { return std::toupper(c); });
  request.path =
      "/api/ext/" + net::percent_encode(options.name) + (options.path.starts_with('/') ? "" : "/") + options.path;
  request.organization = globals.organization;
  if (!options.data.empty()) {
    auto body = invoke_body(options.data);
    if (!body) return report(globals, body.error());
    request.raw_body = std::move(*body);
    request.content_type = options.content_type;
  }
  if (!options.idempotency_key.empty()) request.headers.emplace_back("idempotency-key", options.idempotency_key);
  ApiClient client(globals);
  const auto answer = client.send(request);
  if (!answer) return report(globals, answer.error());
  const auto execution = options.report ? find_report(client, globals, options, *answer) : std::nullopt;
  if (globals.json) {
    json::object headers;
    for (std::size_t i = 0; i < answer->headers.size(); ++i) {
      const auto entry = answer->headers.at(i);
      headers[entry.name] = entry.value;
    }
    const json::value body = answer->json();
    json::object shown{{"status", answer->status}, {"headers", std::move(headers)}};
    if (body.is_null() && answer->body != "null") {
      shown["body_b64"] = base64_encode(answer->body);
    } else {
      shown["json"] = body;
    }
    if (execution) shown["report"] = report_json(*execution);
    std::printf("%s\n", json::serialize(shown).c_str());
  } else {
    if (options.include) {
      std::printf("HTTP %d\n", answer->status);
      for (std::size_t i = 0; i < answer->headers.size(); ++i) {
        const auto entry = answer->headers.at(i);
        std::printf("%.*s: %.*s\n", static_cast<int>(entry.name.size()), entry.name.data(),
                    static_cast<int>(entry.value.size()), entry.value.data());
      }
      std::printf("\n");
    }
    std::fwrite(answer->body.data(), 1, answer->body.size(), stdout);
    if (::isatty(STDOUT_FILENO) != 0 && !answer->body.ends_with('\n')) std::printf("\n");
    if (answer->status >= 400) explain_refusal(client, globals, options.name, *answer);
    if (execution) {
      std::fflush(stdout);
      std::fprintf(stderr, "\n%s", report_text(*execution).c_str());
    }
  }
  if (answer->status >= 500) return kUnreachable;
  return answer->status >= 400 ? kRefused : kOk;
}

struct LogOptions {
  std::string name;
  bool follow = false;
  int limit = 50;
};

void print_execution(const Globals& globals, const json::object& execution) {
  if (globals.json) {
    std::printf("%s\n", json::serialize(execution).c_str());
  } else {
    std::printf("%s", execution_text(execution).c_str());
  }
}

int run_logs(const Globals& globals, const LogOptions& options) {
  ApiClient client(globals);
  const auto install = find_install(client, options.name, globals.organization);
  if (!install) return report(globals, install.error());
  const std::string id = text_of(*install, "id");
  std::set<std::string> shown, shown_before;
  std::string query = "?limit=" + std::to_string(options.limit);
  while (true) {
    const auto executions = fetch_executions(client, globals.organization, id, query);
    if (!executions) return report(globals, executions.error());
    for (const json::object& execution : *executions) {
      const std::string execution_id = text_of(execution, "execution_id");
      if (shown_before.contains(execution_id) || !shown.insert(execution_id).second) continue;
      print_execution(globals, execution);
    }
    std::fflush(stdout);
    if (!options.follow) return kOk;
    if (shown.size() > 2000) {
      shown_before = std::move(shown);
      shown.clear();
    }
    // Rows are written in batches a little after their end, so each poll looks back over the last seconds.
    const UtcMicros since = SystemClock().now() - Micros(std::chrono::seconds(5));
    query = "?limit=500&since=" + net::percent_encode(to_rfc3339(since));
    ::usleep(300'000);
  }
}

struct ExecutionsOptions {
  std::string name;
  std::string status;
  std::string since;
  std::string request_id;
  int limit = 50;
};

// "10m", "2h", "1d" before now, or an RFC 3339 time as it is.
std::string since_time(const std::string& text) {
  std::int64_t amount = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), amount);
  const std::string unit(end, text.data() + text.size());
  const std::int64_t seconds = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : unit == "d" ? 86'400 : 0;
  constexpr std::int64_t kLongest = 100LL * 365 * 86'400;
  if (failure != std::errc{} || seconds == 0 || amount < 0 || amount > kLongest / seconds) return text;
  return to_rfc3339(SystemClock().now() - Micros(std::chrono::seconds(amount * seconds)));
}

int run_executions(const Globals& globals, const ExecutionsOptions& options) {
  ApiClient client(globals);
  const auto install = find_install(client, options.name, globals.organization);
  if (!install) return report(globals, install.error());
  std::string query = "?limit=" + std::to_string(options.limit);
  if (!options.status.empty()) query += "&status=" + net::percent_encode(options.status);
  if (!options.since.empty()) query += "&since=" + net::percent_encode(since_time(options.since));
  if (!options.request_id.empty()) query += "&request_id=" + net::percent_encode(options.request_id);
  const auto executions = fetch_executions(client, globals.organization, text_of(*install, "id"), query);
  if (!executions) return report(globals, executions.error());
  json::array items;
  std::vector<std::vector<std::string>> rows;
  for (const json::object& execution : *executions) {
    const json::value* status = execution.if_contains("http_status");
    rows.push_back({text_of(execution, "started_at"), text_of(execution, "kind"), text_of(execution, "method"),
                    text_of(execution, "path"), status != nullptr ? json::serialize(*status) : "",
                    text_of(execution, "status"), millis_text(number_of(execution, "duration_us")),
                    std::to_string(number_of(execution, "cpu_us")), bytes_text(number_of(execution, "memory_bytes")),
                    std::to_string(number_of(execution, "host_calls")),
                    bytes_text(number_of(execution, "egress_bytes")), text_of(execution, "request_id")});
    items.emplace_back(execution);
  }
  const std::string text = table(
      {"STARTED", "KIND", "METHOD", "PATH", "HTTP", "STATUS", "WALL", "CPU US", "MEMORY", "CALLS", "EGRESS", "REQUEST"},
      rows);
  return print_json_or(globals, json::object{{"items", std::move(items)}}, text.empty() ? "No executions." : text);
}

int run_install_action(const Globals& globals, const std::string& name, const std::string& method,
                       const std::string& action, const std::string& done) {
  ApiClient client(globals);
  const auto install = find_install(client, name, globals.organization);
  if (!install) return report(globals, install.error());
  ApiRequest request;
  request.method = method;
  request.path = "/api/installs/" + text_of(*install, "id") + action;
  request.organization = globals.organization;
  if (method == "POST") request.body = json::object();
  auto answer = client.call(request);
  const bool is_rollback = action == "/rollback";
  if (!answer) {
    if (is_rollback && answer.error().status == 409) {
      answer.error().next =
          "bulkhead ext versions " + name + " lists what bulkhead ext install " + name + "@VERSION can move it to.";
    }
    return report(globals, answer.error());
  }
  const json::value body = answer->json();
  std::string text = done + " " + name;
  if (const std::string rollout = rollout_text(*install); is_rollback && !rollout.empty()) {
    text = "Ended the rollout of " + rollout + "; " + name + " stays at its version";
  }
  if (body.is_object()) {
    if (const std::string version = text_of(body.get_object(), "version"); !version.empty())
      text += " (now " + version + ")";
  }
  return print_json_or(globals, body, text);
}

}  // namespace

void add_extension_commands(Commands& commands, CLI::App& ext) {
  Globals& globals = commands.globals;
  {
    auto* command = commands.add(ext, "publish", "Publish a signed bundle", "  bulkhead ext publish extension.tar.zst");
    const auto file = std::make_shared<std::string>();
    const auto signature = std::make_shared<std::string>();
    command->add_option("file", *file, "Bundle")->required();
    command->add_option("--signature", *signature, "Detached signature (ext sign --detached)");
    add_org_option(command, globals);
    commands.on_run(command, [&globals, file, signature] { return run_publish(globals, *file, *signature); });
  }
  add_install_commands(commands, ext);
  {
    auto* command = commands.add(ext, "list", "List installs, or published extensions",
                                 "  bulkhead ext list --org acme\n  bulkhead ext list published --org acme");
    const auto what = std::make_shared<std::string>("installs");
    command->add_option("what", *what, "installs or published")
        ->check(CLI::IsMember({"installs", "published"}))
        ->capture_default_str();
    add_org_option(command, globals);
    commands.on_run(command, [&globals, what] { return run_list(globals, *what); });
  }
  {
    auto* command =
        commands.add(ext, "invoke", "Call an installed extension through the gateway",
                     "  bulkhead ext invoke com.example.hello GET /hello/ann\n"
                     "  bulkhead ext invoke com.example.hello GET /hello/ann --report\n"
                     "  echo '{\"sku\":\"A-1\"}' | bulkhead ext invoke com.example.orders POST /orders --data -");
    const auto options = std::make_shared<InvokeOptions>();
    command->add_option("name", options->name, "Extension's name or id")->required();
    command->add_option("method", options->method, "GET, POST, PUT, PATCH or DELETE")->required();
    command->add_option("path", options->path, "Path, with its query")->required();
    command->add_option("--data,-d", options->data, "Body: text, @FILE, or - for standard input");
    command->add_option("--content-type", options->content_type, "Of the body")->capture_default_str();
    command->add_option("--idempotency-key", options->idempotency_key, "Makes a repeated call take effect once");
    command->add_flag("--include,-i", options->include, "Show status and headers");
    command->add_flag("--report,-v", options->report,
                      "Show what the call cost: CPU, time, memory, host calls, egress, log lines");
    add_org_option(command, globals);
    commands.on_run(command, [&globals, options] { return run_invoke(globals, *options); });
  }
  {
    auto* command =
        commands.add(ext, "logs", "Show an install's executions and log lines; with --json one object a line (NDJSON)",
                     "  bulkhead ext logs com.example.hello\n  bulkhead ext logs -f com.example.hello");
    const auto options = std::make_shared<LogOptions>();
    command->add_option("name", options->name, "Extension's name or id")->required();
    command->add_flag("-f,--follow", options->follow, "Go on showing new ones");
    command->add_option("--limit", options->limit, "How many to show first")
        ->check(CLI::Range(1, 500))
        ->capture_default_str();
    add_org_option(command, globals);
    commands.on_run(command, [&globals, options] { return run_logs(globals, *options); });
  }
  {
    auto* command = commands.add(ext, "executions", "List an install's executions and what they cost, oldest first",
                                 "  bulkhead ext executions com.example.hello --status error --since 2h\n"
                                 "  bulkhead ext executions com.example.hello --limit 500 --json");
    const auto options = std::make_shared<ExecutionsOptions>();
    command->add_option("name", options->name, "Extension's name or id")->required();
    command->add_option("--status", options->status, "Only these")
        ->check(CLI::IsMember({"ok", "error", "timeout", "oom", "policy_denied", "upstream_error"}));
    command->add_option("--since", options->since, "Only from then on: 30s, 10m, 2h, 1d, or an RFC 3339 time");
    command->add_option("--request-id", options->request_id, "Only of this request");
    command->add_option("--limit", options->limit, "The newest so many")
        ->check(CLI::Range(1, 500))
        ->capture_default_str();
    add_org_option(command, globals);
    commands.on_run(command, [&globals, options] { return run_executions(globals, *options); });
  }
  const auto add_action = [&](const std::string& name, const std::string& description, const std::string& method,
                              const std::string& action, const std::string& done) {
    auto* command = commands.add(ext, name, description, "  bulkhead ext " + name + " com.example.hello");
    const auto extension = std::make_shared<std::string>();
    command->add_option("name", *extension, "Extension's name or id")->required();
    add_org_option(command, globals);
    commands.on_run(command, [&globals, extension, method, action, done] {
      return run_install_action(globals, *extension, method, action, done);
    });
  };
  add_action("rollback", "Go back to the version that was installed before", "POST", "/rollback", "Rolled back");
  add_action("enable", "Enable an install", "POST", "/enable", "Enabled");
  add_action("disable", "Disable an install", "POST", "/disable", "Disabled");
  add_action("uninstall", "Remove an install and its data", "DELETE", "", "Uninstalled");
}

}  // namespace bulkhead::cli
