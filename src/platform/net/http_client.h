// Outbound HTTP by libcurl's multi interface on a core's event loop. Every call has a deadline and size caps; redirects
// are never followed implicitly. Connections are pooled per `pool` key only (one per tenant, or "operator").
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "platform/async/cores.h"
#include "platform/net/http.h"

namespace bulkhead::net {

struct ClientRequest {
  std::string method = "GET";
  std::string url;
  Headers headers;
  std::string body;
  std::string upload_file;      // when set, the body is this file's content
  std::string download_file;    // when set, a 2xx body is written to this new file
  Millis timeout{10'000};
  Millis connect_timeout{3'000};
  Bytes response_limit = 10_MiB;
  std::string pool = "operator";
  // Called with every address about to be dialled; an error refuses it (SSRF guard). Empty = operator-configured target.
  std::function<Status(const boost::asio::ip::address&, std::uint16_t port)> dial_guard;
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
};

class HttpClient {
 public:
  virtual ~HttpClient() = default;
  // Must be awaited on the client's core. Errors: kUnavailable (can't connect, broken), kDeadlineExceeded,
  // kPayloadTooLarge, kTargetDenied (dial guard), kBadRequest (bad URL).
  virtual Task<Result<ClientResponse>> send(ClientRequest request) = 0;
};

std::unique_ptr<HttpClient> make_http_client(Core& core);

}  // namespace bulkhead::net
