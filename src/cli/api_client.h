// The command line's way to the server: one blocking call at a time, errors as the server's problem+json says them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/time.h"
#include "cli/command.h"
#include "platform/net/http_client.h"

namespace bulkhead::cli {

struct ApiRequest {
  std::string method = "GET";
  std::string path;                 // "/api/v1/orgs", with its query
  std::optional<json::value> body;  // JSON
  std::string raw_body;             // instead of `body`
  std::string content_type;         // of raw_body or upload_file
  std::string upload_file;
  std::string organization;  // sent as x-tenant-id when not empty
  std::vector<std::pair<std::string, std::string>> headers;
  Millis timeout{60'000};
};

struct ApiAnswer {
  int status = 0;
  net::Headers headers;
  std::string body;
  // The body as JSON; null when it is something else.
  json::value json() const;
};

// A refusal by the server, with what its problem document said.
struct ApiRefusal {
  int status = 0;  // 0: it was not reached
  std::string code;
  std::string message;
  std::string request_id;
  std::vector<FieldError> fields;
  std::string next{};  // what to do; empty: what the registry says of the code
};

class ApiClient {
 public:
  explicit ApiClient(const Globals& globals);
  ~ApiClient();

  // Any answer that arrived, whatever its status.
  std::expected<ApiAnswer, ApiRefusal> send(const ApiRequest& request);
  // Only 2xx; everything else is a refusal.
  std::expected<ApiAnswer, ApiRefusal> call(const ApiRequest& request);

 private:
  const Globals& globals_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<net::HttpClient> client_;
};

ApiRefusal refusal_of(const ApiAnswer& answer);
// Prints it with its next step; gives the exit code.
int report(const Globals& globals, const ApiRefusal& refusal);

// BULKHEAD_SERVER and BULKHEAD_TOKEN, then the login file, fill what the flags left empty.
void fill_from_environment(Globals& globals);
// ~/.config/bulkhead/login.json (XDG_CONFIG_HOME), 0600.
std::string login_file_path();
Status write_login_file(const std::string& server, const std::string& token);

}  // namespace bulkhead::cli
