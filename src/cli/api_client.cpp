#include "cli/api_client.h"

#include <cstdio>
#include <cstdlib>

#include "platform/process/file.h"

namespace bulkhead::cli {
namespace {

// Runs one request on the client's own loop, which then stands still again.
Result<net::ClientResponse> run(Core& core, net::HttpClient& client, net::ClientRequest request) {
  std::optional<Result<net::ClientResponse>> outcome;
  core.context().restart();
  asio::co_spawn(core.executor(), client.send(std::move(request)),
                 [&](std::exception_ptr escaped, Result<net::ClientResponse> response) {
                   if (escaped) std::rethrow_exception(escaped);
                   outcome.emplace(std::move(response));
                   core.context().stop();
                 });
  core.context().run();
  BH_ASSERT(outcome.has_value());
  return std::move(*outcome);
}

// Why there was no answer, for somebody who mistyped an address or forgot to start the server.
std::string reason_of(const Error& error) {
  const std::string text = error.message + " " + error.detail;
  const auto says = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  if (says("resolved")) return "its name is not known.";
  if (says("HTTP/0.9") || says("weird server") || says("Weird server"))
    return "what answers there does not speak HTTP.";
  if (says("wrong version number") || says("SSL") || says("TLS")) return "TLS failed there.";
  if (says("Couldn't connect") || says("Could not connect") || says("refused")) return "nothing listens there.";
  return error.detail.empty() ? tidy(error.message) : tidy(error.detail + ".");
}

std::string next_step(int status, const std::string& code) {
  if (status == 0) return "Start the server (bulkhead serve) or name it with --server or BULKHEAD_SERVER.";
  for (const ErrorInfo& info : all_error_info()) {
    if (info.wire_code == code && info.http_status == status) return std::string(info.action);
  }
  for (const ErrorInfo& info : all_error_info()) {
    if (info.wire_code == code) return std::string(info.action);
  }
  return "";
}

}  // namespace

json::value ApiAnswer::json() const {
  auto parsed = parse_json(body);
  return parsed ? std::move(*parsed) : json::value();
}

ApiClient::ApiClient(const Globals& globals)
    : globals_(globals), core_(std::make_unique<Core>(0)), client_(net::make_http_client(*core_)) {}

ApiClient::~ApiClient() = default;

std::expected<ApiAnswer, ApiRefusal> ApiClient::send(const ApiRequest& request) {
  net::ClientRequest http;
  http.method = request.method;
  http.url = globals_.server + request.path;
  http.timeout = request.timeout;
  http.response_limit = 64_MiB;
  http.upload_file = request.upload_file;
  if (!globals_.token.empty()) http.headers.set("authorization", "Bearer " + globals_.token);
  if (!request.organization.empty()) http.headers.set("x-tenant-id", request.organization);
  if (request.body) {
    http.body = json::serialize(*request.body);
    http.headers.set("content-type", "application/json");
  } else {
    http.body = request.raw_body;
    if (!request.content_type.empty()) http.headers.set("content-type", request.content_type);
  }
  for (const auto& [name, value] : request.headers) http.headers.set(name, value);
  auto response = run(*core_, *client_, std::move(http));
  if (!response) {
    std::string message = "The server at " + globals_.server + " can't be reached: " + reason_of(response.error());
    if (response.error().code == ErrorCode::kDeadlineExceeded) message = "The server did not answer in time.";
    if (response.error().code == ErrorCode::kBadRequest) message = response.error().message;
    return std::unexpected(ApiRefusal{.status = 0,
                                      .code = std::string(response.error().wire_code()),
                                      .message = std::move(message),
                                      .request_id = {},
                                      .fields = {}});
  }
  return ApiAnswer{response->status, std::move(response->headers), std::move(response->body)};
}

std::expected<ApiAnswer, ApiRefusal> ApiClient::call(const ApiRequest& request) {
  auto answer = send(request);
  if (answer && (answer->status < 200 || answer->status > 299)) return std::unexpected(refusal_of(*answer));
  return answer;
}

ApiRefusal refusal_of(const ApiAnswer& answer) {
  ApiRefusal refusal;
  refusal.status = answer.status;
  const json::value body = answer.json();
  if (!body.is_object()) {
    refusal.code = "http_" + std::to_string(answer.status);
    refusal.message = "The server answered " + std::to_string(answer.status) + ".";
    return refusal;
  }
  const auto text = [&](std::string_view name) {
    const json::value* found = body.get_object().if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
  };
  refusal.code = text("code");
  refusal.message = text("detail");
  if (refusal.message.empty()) refusal.message = text("title");
  refusal.request_id = text("request_id");
  if (const json::value* errors = body.get_object().if_contains("errors"); errors != nullptr && errors->is_array()) {
    for (const json::value& item : errors->get_array()) {
      if (!item.is_object()) continue;
      std::vector<FieldError> ignored;
      JsonReader reader(item, ignored);
      refusal.fields.push_back(
          {reader.optional_string("pointer").value_or(""), reader.optional_string("message").value_or("")});
    }
  }
  return refusal;
}

int report(const Globals& globals, const ApiRefusal& refusal) {
  const int code = refusal.status >= 400 && refusal.status < 500 ? kRefused : kUnreachable;
  std::string message = refusal.message;
  std::string next = refusal.next.empty() ? next_step(refusal.status, refusal.code) : refusal.next;
  if (refusal.code == "tenant_required") {
    message = "This credential belongs to no organization.";
    next = "Name one with --org SLUG or BULKHEAD_ORG; bulkhead org list shows them.";
  } else if (refusal.status == 401 && globals.token.empty()) {
    message = "There is no credential.";
    next = "bulkhead login, or set BULKHEAD_TOKEN to an API key or the administrator's token.";
  }
  message = tidy(std::move(message));
  if (globals.json) {
    json::array fields;
    for (const auto& field : refusal.fields) {
      fields.push_back({{"pointer", field.pointer}, {"message", field.message}});
    }
    const json::object body{{"error",
                             {{"status", refusal.status},
                              {"code", refusal.code},
                              {"message", message},
                              {"next", next},
                              {"request_id", refusal.request_id},
                              {"errors", std::move(fields)}}}};
    std::fprintf(stderr, "%s\n", json::serialize(body).c_str());
    return code;
  }
  std::fprintf(stderr, "error: %s (%s)\n", message.c_str(), refusal.code.c_str());
  for (const auto& field : refusal.fields) {
    if (message.find(field.message) != std::string::npos) continue;  // said already
    std::fprintf(stderr, "  %s %s\n", field.pointer.empty() ? "/" : field.pointer.c_str(), field.message.c_str());
  }
  if (!next.empty()) std::fprintf(stderr, "  next: %s\n", next.c_str());
  if (!refusal.request_id.empty()) std::fprintf(stderr, "  request id: %s\n", refusal.request_id.c_str());
  return code;
}

std::string login_file_path() {
  const char* config = std::getenv("XDG_CONFIG_HOME");
  const char* home = std::getenv("HOME");
  const std::string base =
      config != nullptr && *config != '\0' ? config : std::string(home != nullptr ? home : "") + "/.config";
  return base + "/bulkhead/login.json";
}

Status write_login_file(const std::string& server, const std::string& token) {
  const std::string path = login_file_path();
  BH_TRY_VOID(process::make_directory(path.substr(0, path.rfind('/'))));
  return process::write_file_atomically(
      path, json::serialize(json::object{{"server", server}, {"token", token}}) + "\n", 0600);
}

void fill_from_environment(Globals& globals) {
  const auto from = [](std::string& value, const char* name) {
    const char* found = std::getenv(name);
    if (value.empty() && found != nullptr) value = found;
  };
  const bool server_named = !globals.server.empty() || std::getenv("BULKHEAD_SERVER") != nullptr;
  from(globals.server, "BULKHEAD_SERVER");
  from(globals.token, "BULKHEAD_TOKEN");
  if (const auto file = process::read_file(login_file_path(), 64_KiB)) {
    if (const auto login = parse_json(*file)) {
      std::vector<FieldError> ignored;
      JsonReader reader(*login, ignored);
      const std::string server = reader.optional_string("server").value_or("");
      const std::string token = reader.optional_string("token").value_or("");
      // A token goes only to the server it was made for.
      if (globals.server.empty()) globals.server = server;
      if (globals.token.empty() && (!server_named || globals.server == server)) globals.token = token;
    }
  }
  if (globals.server.empty()) globals.server = "http://127.0.0.1:8080";
  while (globals.server.ends_with('/')) globals.server.pop_back();
  if (globals.server.find("://") == std::string::npos) globals.server = "http://" + globals.server;
}

}  // namespace bulkhead::cli
