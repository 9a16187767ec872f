// `bulkhead org|key|trust|login`: organizations, API keys, trusted signers, and where the command line is logged in.
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "cli/extension_api.h"
#include "platform/process/file.h"

namespace bulkhead::cli {
namespace {

int run_call(const Globals& globals, ApiRequest request,
             const std::function<std::string(const json::value&)>& to_text) {
  ApiClient client(globals);
  const auto answer = client.call(request);
  if (!answer) return report(globals, answer.error());
  const json::value body = answer->json();
  return show(globals, body, to_text(body));
}

// Rows of the answer's "items".
std::string items_table(const json::value& body, const std::vector<std::pair<std::string, std::string>>& columns,
                        const std::string& none) {
  std::vector<std::string> header;
  for (const auto& column : columns) header.push_back(column.first);
  std::vector<std::vector<std::string>> rows;
  if (body.is_object() && body.get_object().contains("items")) {
    for (const json::value& item : body.at("items").as_array()) {
      std::vector<std::string> row;
      for (const auto& column : columns) row.push_back(text_of(item.as_object(), column.second));
      rows.push_back(std::move(row));
    }
  }
  const std::string text = table(header, rows);
  return text.empty() ? none : text;
}

void add_org_commands(Commands& commands) {
  Globals& globals = commands.globals;
  auto* org = commands.root.add_subcommand("org", "Organizations");
  org->require_subcommand(1);
  {
    auto* command =
        commands.add(*org, "create", "Make an organization", "  bulkhead org create acme --name 'Acme Inc.'");
    const auto slug = std::make_shared<std::string>();
    const auto name = std::make_shared<std::string>();
    command->add_option("slug", *slug, "Short name: a-z, 0-9 and -")->required();
    command->add_option("--name", *name, "Display name (default: the slug)");
    commands.on_run(command, [&globals, slug, name] {
      ApiRequest request;
      request.method = "POST";
      request.path = "/api/v1/orgs";
      request.body = json::object{{"slug", *slug}, {"name", name->empty() ? *slug : *name}};
      return run_call(globals, std::move(request), [&](const json::value& body) {
        return "Made the organization " + *slug + " (" + text_of(body.as_object(), "id") + ")";
      });
    });
  }
  {
    auto* command = commands.add(*org, "plan", "Show an organization's plan, or give it another",
                                 "  bulkhead org plan acme\n  bulkhead org plan acme pro");
    const auto slug = std::make_shared<std::string>();
    const auto plan = std::make_shared<std::string>();
    command->add_option("slug", *slug, "Organization")->required();
    command->add_option("plan", *plan, "A plan of the server's configuration, or default");
    commands.on_run(command, [&globals, slug, plan] {
      ApiRequest request;
      request.path = "/api/v1/orgs/" + net::percent_encode(*slug) + "/plan";
      if (!plan->empty()) {
        request.method = "PUT";
        request.body = json::object{{"plan", *plan}};
      }
      return run_call(globals, std::move(request), [&](const json::value& body) {
        return *slug + " has the plan " + text_of(body.as_object(), "plan") + "\n" + pretty(body);
      });
    });
  }
  {
    auto* command = commands.add(*org, "list", "List organizations", "  bulkhead org list --json");
    commands.on_run(command, [&globals] {
      ApiRequest request;
      request.path = "/api/v1/orgs?limit=200";
      return run_call(globals, std::move(request), [](const json::value& body) {
        return items_table(body, {{"SLUG", "slug"}, {"NAME", "name"}, {"ID", "id"}}, "There are no organizations.");
      });
    });
  }
}

void add_key_commands(Commands& commands) {
  Globals& globals = commands.globals;
  auto* key = commands.root.add_subcommand("key", "API keys of an organization");
  key->require_subcommand(1);
  const auto keys_path = [&globals] {
    return "/api/v1/orgs/" + net::percent_encode(globals.organization) + "/api-keys";
  };
  {
    auto* command = commands.add(*key, "create", "Make an API key; it is shown once",
                                 "  bulkhead key create --org acme --role developer --name ci");
    const auto role = std::make_shared<std::string>("developer");
    const auto name = std::make_shared<std::string>("cli");
    const auto scopes = std::make_shared<std::vector<std::string>>();
    add_org_option(command, globals)->description("Organization (slug or id)")->required();
    command->add_option("--role", *role, "owner, admin, developer, billing or viewer")->capture_default_str();
    command->add_option("--name", *name, "What it is for")->capture_default_str();
    command->add_option("--scope", *scopes, "Only these permissions of the role");
    commands.on_run(command, [&globals, keys_path, role, name, scopes] {
      ApiRequest request;
      request.method = "POST";
      request.path = keys_path();
      json::object body{{"name", *name}, {"role", *role}};
      if (!scopes->empty()) body["scopes"] = json::array(scopes->begin(), scopes->end());
      request.body = std::move(body);
      return run_call(globals, std::move(request), [](const json::value& answer) {
        return text_of(answer.as_object(), "key") +
               "\nThis key is shown once; keep it safe. Use it with --token or BULKHEAD_TOKEN.";
      });
    });
  }
  {
    auto* command = commands.add(*key, "list", "List API keys", "  bulkhead key list --org acme");
    add_org_option(command, globals)->description("Organization (slug or id)")->required();
    commands.on_run(command, [&globals, keys_path] {
      ApiRequest request;
      request.path = keys_path() + "?limit=200";
      return run_call(globals, std::move(request), [](const json::value& body) {
        return items_table(
            body,
            {{"ID", "id"}, {"NAME", "name"}, {"ROLE", "role"}, {"STATUS", "status"}, {"LAST USED", "last_used_at"}},
            "There are no keys.");
      });
    });
  }
  const auto add_key_action = [&](const std::string& name, const std::string& description) {
    auto* command = commands.add(*key, name, description, "  bulkhead key " + name + " KEY-ID --org acme");
    const auto id = std::make_shared<std::string>();
    command->add_option("id", *id, "Key's id (key list)")->required();
    add_org_option(command, globals)->description("Organization (slug or id)")->required();
    commands.on_run(command, [&globals, keys_path, id, name] {
      ApiRequest request;
      request.method = "POST";
      request.path = keys_path() + "/" + *id + "/" + name;
      request.body = json::object();
      return run_call(globals, std::move(request), [&](const json::value& answer) {
        const std::string fresh = text_of(answer.as_object(), "key");
        return fresh.empty() ? "Revoked " + *id + "."
                             : fresh + "\nThe new key is shown once; the old one works for 24 hours more.";
      });
    });
  };
  add_key_action("rotate", "Make a successor; the old key works for a while");
  add_key_action("revoke", "End a key at once");
}

void add_trust_commands(Commands& commands) {
  Globals& globals = commands.globals;
  auto* trust = commands.root.add_subcommand("trust", "Signers whose bundles are accepted");
  trust->require_subcommand(1);
  {
    auto* command = commands.add(*trust, "add", "Trust a public key or CA certificate",
                                 "  bulkhead trust add signing.key.pub\n"
                                 "  bulkhead trust add signing.key.pub --prefix com.example");
    const auto file = std::make_shared<std::string>();
    const auto prefixes = std::make_shared<std::vector<std::string>>(std::vector<std::string>{"*"});
    command->add_option("file", *file, "PEM file")->required();
    command->add_option("--prefix", *prefixes, "Extension names it may sign; * = all")->capture_default_str();
    command->add_option("--org", globals.organization, "Only for this organization");
    commands.on_run(command, [&globals, file, prefixes] {
      auto pem = process::read_file(*file, 64_KiB);
      if (!pem) return report(globals, pem.error());
      if (pem->find("PRIVATE KEY-----") != std::string::npos) {  // must not leave this machine
        return report(globals, fail(ErrorCode::kBadRequest, *file + " is a private key; it was not sent.").error(),
                      "Use the public one: bulkhead trust add " + *file + ".pub");
      }
      ApiRequest request;
      request.method = "POST";
      request.path = "/api/v1/trust";
      request.organization = globals.organization;
      request.body = json::object{{"pem", *pem}, {"prefixes", json::array(prefixes->begin(), prefixes->end())}};
      return run_call(globals, std::move(request), [&](const json::value& body) {
        return "Trusted: " + text_of(body.as_object(), "key_id") + " (" + text_of(body.as_object(), "id") + ")";
      });
    });
  }
  {
    auto* command = commands.add(*trust, "list", "List trusted signers", "  bulkhead trust list");
    command->add_option("--org", globals.organization, "Of this organization");
    commands.on_run(command, [&globals] {
      ApiRequest request;
      request.path = "/api/v1/trust?limit=200";
      request.organization = globals.organization;
      return run_call(globals, std::move(request), [](const json::value& body) {
        return items_table(body, {{"ID", "id"}, {"SCOPE", "scope"}, {"KIND", "kind"}, {"KEY", "key_id"}},
                           "No signers of this organization's own, or of the platform where no organization is meant. "
                           "The platform's signers count\nin every organization; the administrator lists them with "
                           "bulkhead trust list.");
      });
    });
  }
  {
    auto* command = commands.add(*trust, "remove", "Stop trusting a signer, at once", "  bulkhead trust remove ID");
    const auto id = std::make_shared<std::string>();
    command->add_option("id", *id, "Entry's id (trust list)")->required();
    command->add_option("--org", globals.organization, "Of this organization");
    commands.on_run(command, [&globals, id] {
      ApiRequest request;
      request.method = "DELETE";
      request.path = "/api/v1/trust/" + *id;
      request.organization = globals.organization;
      return run_call(globals, std::move(request), [&](const json::value&) { return "Removed " + *id; });
    });
  }
}

void add_login_command(Commands& commands) {
  Globals& globals = commands.globals;
  auto* command =
      commands.add(commands.root, "login", "Remember a server and a key for later commands",
                   "  bulkhead login --server https://bulkhead.example.com   (reads the key from standard input)");
  commands.on_run(command, [&globals] {
    if (globals.token.empty()) {
      if (::isatty(STDIN_FILENO) != 0) note(globals, "Paste the key, then Enter:");
      std::getline(std::cin, globals.token);
    }
    ApiClient client(globals);
    ApiRequest request;
    request.path = "/api/v1/me";
    const auto me = client.call(request);
    if (!me) return report(globals, me.error());
    if (auto written = write_login_file(globals.server, globals.token); !written)
      return report(globals, written.error());
    return show(globals, me->json(), "Logged in at " + globals.server + "; kept in " + login_file_path());
  });
}

}  // namespace

void add_admin_commands(Commands& commands) {
  add_org_commands(commands);
  add_key_commands(commands);
  add_trust_commands(commands);
  add_login_command(commands);
}

}  // namespace bulkhead::cli
