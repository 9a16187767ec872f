// Outbound HTTP by libcurl's multi interface on a core's event loop. Every call has a deadline and size caps; redirects
// are never followed implicitly. Connections are pooled per `pool` key only (one per tenant, or "operator"), because a
// reused connection skips the dial guard: requests of one key must share one guard policy. (Requests with and without a
// guard never share connections, whatever their key.)
//
// HTTP/1.1 over TCP or TLS with the certificate verified; no proxy, cookies, netrc or HTTP/0.9. The
// fields host, content-length, transfer-encoding, connection, expect, te, trailer, upgrade and proxy-* belong to the
// client: those of a request are dropped. A request on a kept connection that the server had closed meanwhile is sent
// again on a new one when nothing of an answer came (RFC 9110 §9.2.2 leaves POST to us: the body was not processed by a
// server that closed before reading it, save for servers that break the protocol).
//
// Files are read and written in the event loop, at most 64 KiB at a time, through the page cache and without fsync:
// microseconds on a local disk. Flush a downloaded file (on a pool) where that matters.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "platform/async/cores.h"
#include "platform/net/http.h"

namespace bulkhead::net {

// AWS Signature Version 4 by libcurl. With libcurl 7.88 the caller must: set x-amz-content-sha256 and content-type
// (where there is a body), percent-encode the path by RFC 3986, and send the query sorted, encoded, with "=" on
// valueless keys.
struct AwsSignature {
  std::string access_key;
  std::string secret_key;
  std::string region;
  std::string service;
};

struct ClientRequest {
  std::string method = "GET";
  std::string url{};
  Headers headers{};
  std::string body{};
  std::string upload_file{};    // when set, the body is this file's content
  std::string download_file{};  // when set, a 2xx body is written to this new file (removed again on failure)
  Millis timeout{10'000};
  Millis connect_timeout{3'000};
  Bytes response_limit = 10_MiB;
  std::string pool = "operator";
  // Called with every address about to be dialled; an error refuses it (SSRF guard) and becomes the call's error when
  // no other address works. Empty = operator-configured target.
  std::function<Status(const boost::asio::ip::address&, std::uint16_t port)> dial_guard{};
  std::optional<AwsSignature> aws_signature{};
  // Counts HTTP bytes (not those of TLS and TCP): called with the request's head and body before it is sent, then with
  // what arrives, as on the wire. An error ends the request and is its error. It may still be called with the last
  // bytes when the request is over or cancelled; not later.
  std::function<Status(std::uint64_t bytes)> meter{};
  // When set, these are dialled instead of what DNS says about the URL's host.
  std::vector<boost::asio::ip::address> addresses{};
  // "sha256//BASE64" of the public keys of which an https server must show one, separated by ";". Empty: any.
  std::string pinned_public_keys{};
  // kDecoded asks for compressed answers and undoes one layer of gzip, deflate, br or zstd; response_limit bounds what
  // comes out.
  enum class Content : std::uint8_t { kAsSent, kDecoded } content = Content::kAsSent;
};

struct ClientResponse {
  int status = 0;
  Headers headers{};
  std::string body{};
};

class HttpClient {
 public:
  virtual ~HttpClient() = default;
  // Must be awaited on the client's core. Errors: kUnavailable (can't connect, broken), kDeadlineExceeded,
  // kPayloadTooLarge, kTargetDenied (or whatever the dial guard says), kBadRequest (bad URL, method or header),
  // kOverloaded (too many requests in flight, or too many bytes of their answers), kStorageFull (download_file),
  // kCancelled, kShuttingDown, or the meter's.
  virtual Task<Result<ClientResponse>> send(ClientRequest request) = 0;
};

struct HttpClientOptions {
  std::string ca_file{};  // PEM; empty = the system's authorities
  std::size_t max_in_flight_per_pool = 256;
  std::size_t max_in_flight = 4096;
  std::size_t max_pools = 4096;  // one more ends the pool that was idle for the longest time
  long idle_connections_per_pool = 16;
  Bytes max_buffered = 4_GiB;  // of the bodies of all answers that are being received
};

// May be destroyed on any thread; requests still in flight answer kShuttingDown.
std::unique_ptr<HttpClient> make_http_client(Core& core, HttpClientOptions options = {});

}  // namespace bulkhead::net
