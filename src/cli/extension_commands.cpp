// `bulkhead ext …` against a server: publish, install, list, invoke, logs, rollback, enable, disable, uninstall.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <set>

#include "cli/extension_api.h"
#include "features/bundles/bundle_reader.h"
#include "platform/process/file.h"

namespace bulkhead::cli {
namespace {

constexpr Bytes kMaxSignature = 1_MiB;

int print_json_or(const Globals& globals, const json::value& value, const std::string& text) {
  return show(globals, value, text);
}

// "name@version" in two.
std::optional<std::pair<std::string, std::string>> split_reference(const std::string& reference) {
  const std::size_t at = reference.rfind('@');
  if (at == std::string::npos || at == 0 || at + 1 == reference.size()) return std::nullopt;
  return std::pair{reference.substr(0, at), reference.substr(at + 1)};
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
  return print_json_or(globals, *published,
                       "Published " + bundle->manifest.name + " " + version + " in " + std::to_string(took) + " ms\n" +
                           bundle->archive.content_hash.to_string() + "\nNext: bulkhead ext install " +
                           bundle->manifest.name + "@" + version + " --org ORG" +
                           (bundle->manifest.capabilities.empty() ? "" : " --grant ..."));
}

struct InstallOptions {
  std::string reference;
  std::vector<std::string> grants;
  std::vector<std::string> egress;
  std::string config;
};

int run_install(const Globals& globals, const InstallOptions& options) {
  const auto reference = split_reference(options.reference);
  if (!reference) {
    return report(globals, fail(ErrorCode::kBadRequest, "Name the version too: NAME@VERSION.").error());
  }
  InstallRequest request;
  request.extension = reference->first;
  request.version = reference->second;
  request.organization = globals.organization;
  request.grants = options.grants;
  request.egress = options.egress;
  if (!options.config.empty()) {
    auto text = process::read_file(options.config, 1_MiB);
    if (!text) return report(globals, text.error());
    auto config = parse_json(*text);
    if (!config) return report(globals, config.error());
    request.config = std::move(*config);
  }
  ApiClient client(globals);
  const auto installed = install_version(client, request);
  if (!installed) return report(globals, installed.error());
  std::string text = "Installed " + options.reference;
  if (installed->is_object()) {
    text += " as " + text_of(installed->get_object(), "id");
    const std::string domain = text_of(installed->get_object(), "runner_domain");
    if (!domain.empty()) text += "\nDomain: " + domain;
  }
  return print_json_or(globals, *installed, text + "\nNext: bulkhead ext invoke " + request.extension + " GET /");
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
      rows.push_back({text_of(install, "extension_name"), text_of(install, "version"), text_of(install, "status"),
                      enabled != nullptr && *enabled == true ? "yes" : "no", text_of(install, "id")});
      items.emplace_back(install);
    }
    const std::string text = table({"EXTENSION", "VERSION", "STATUS", "ENABLED", "ID"}, rows);
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
};

Result<std::string> invoke_body(const std::string& data) {
  if (data == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  if (data.starts_with('@')) return process::read_file(data.substr(1), 16_MiB);
  return data;
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
    if (answer->status >= 400) std::fprintf(stderr, "HTTP %d\n", answer->status);
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
    return;
  }
  const json::value* duration = execution.if_contains("duration_us");
  const double millis =
      duration != nullptr && duration->is_int64() ? static_cast<double>(duration->get_int64()) / 1000 : 0;
  const json::value* status = execution.if_contains("http_status");
  std::printf("%s %s %s -> %s %s (%.2f ms) %s\n", text_of(execution, "started_at").c_str(),
              text_of(execution, "method").c_str(), text_of(execution, "path").c_str(),
              status != nullptr ? json::serialize(*status).c_str() : "?", text_of(execution, "status").c_str(), millis,
              text_of(execution, "request_id").c_str());
  if (const json::value* error = execution.if_contains("error"); error != nullptr && error->is_object()) {
    std::printf("    error %s: %s\n", text_of(error->get_object(), "code").c_str(),
                text_of(error->get_object(), "message").c_str());
  }
  if (const json::value* logs = execution.if_contains("logs"); logs != nullptr && logs->is_array()) {
    for (const json::value& line : logs->get_array()) {
      std::printf("    %-5s %s\n", text_of(line.as_object(), "level").c_str(),
                  text_of(line.as_object(), "text").c_str());
    }
  }
}

// One page of executions, oldest first.
Answer<std::vector<json::object>> fetch_executions(ApiClient& client, const Globals& globals,
                                                   const std::string& install_id, const std::string& query) {
  ApiRequest request;
  request.path = "/api/installs/" + install_id + "/executions" + query;
  request.organization = globals.organization;
  const auto answer = client.call(request);
  if (!answer) return std::unexpected(answer.error());
  std::vector<json::object> executions;
  const json::value body = answer->json();
  if (body.is_object() && body.get_object().contains("items")) {
    for (const json::value& item : body.at("items").as_array()) executions.push_back(item.as_object());
  }
  std::ranges::reverse(executions);
  return executions;
}

int run_logs(const Globals& globals, const LogOptions& options) {
  ApiClient client(globals);
  const auto install = find_install(client, options.name, globals.organization);
  if (!install) return report(globals, install.error());
  const std::string id = text_of(*install, "id");
  std::set<std::string> shown, shown_before;
  std::string query = "?limit=" + std::to_string(options.limit);
  while (true) {
    const auto executions = fetch_executions(client, globals, id, query);
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
  const auto answer = client.call(request);
  if (!answer) return report(globals, answer.error());
  const json::value body = answer->json();
  std::string text = done + " " + name;
  if (body.is_object()) {
    if (const std::string version = text_of(body.get_object(), "version"); !version.empty())
      text += " (now " + version + ")";
  }
  return print_json_or(globals, body, text);
}

void add_org_option(CLI::App* command, Globals& globals) {
  command->add_option("--org", globals.organization,
                      "Organization (slug or id); needed with the administrator's token only");
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
  {
    auto* command = commands.add(
        ext, "install", "Install a version, or move an install to it",
        "  bulkhead ext install com.example.orders@1.0.0 --org acme --grant storage.kv log.emit\n"
        "  bulkhead ext install com.example.orders@1.1.0 --org acme --grant storage.kv --egress api.example.com");
    const auto options = std::make_shared<InstallOptions>();
    command->add_option("reference", options->reference, "NAME@VERSION")->required();
    command->add_option("--grant", options->grants, "Capabilities to grant; nothing is granted otherwise");
    command->add_option("--egress", options->egress, "Hosts that it may reach");
    command->add_option("--config", options->config, "JSON file with the install's settings");
    add_org_option(command, globals);
    commands.on_run(command, [&globals, options] { return run_install(globals, *options); });
  }
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
                     "  echo '{\"sku\":\"A-1\"}' | bulkhead ext invoke com.example.orders POST /orders --data -");
    const auto options = std::make_shared<InvokeOptions>();
    command->add_option("name", options->name, "Extension's name or id")->required();
    command->add_option("method", options->method, "GET, POST, PUT, PATCH or DELETE")->required();
    command->add_option("path", options->path, "Path, with its query")->required();
    command->add_option("--data,-d", options->data, "Body: text, @FILE, or - for standard input");
    command->add_option("--content-type", options->content_type, "Of the body")->capture_default_str();
    command->add_option("--idempotency-key", options->idempotency_key, "Makes a repeated call take effect once");
    command->add_flag("--include,-i", options->include, "Show status and headers");
    add_org_option(command, globals);
    commands.on_run(command, [&globals, options] { return run_invoke(globals, *options); });
  }
  {
    auto* command = commands.add(ext, "logs", "Show an install's executions and log lines",
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
