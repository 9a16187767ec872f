#include "platform/net/http_client_transfer.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "platform/process/errno_error.h"
#include "platform/process/file.h"

namespace bulkhead::net::detail {
namespace {

namespace ip = boost::asio::ip;

constexpr std::size_t kHeaderLimit = std::size_t{64} * 1024;  // of all header blocks of an answer together
constexpr long kBufferSize = 64L * 1024;
// Those that Debian's libcurl undoes.
constexpr std::string_view kEncodings = "gzip, deflate, br, zstd";
// What a failed download answers is for an error message, not for memory.
constexpr Bytes kErrorBodyLimit = 1_MiB;

template <typename Value>
void set(CURL* handle, CURLoption option, Value value) {
  // Fails only for options that this libcurl lacks or for want of memory.
  BH_ASSERT(curl_easy_setopt(handle, option, value) == CURLE_OK);
}

// RFC 9110 §5.6.2
bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").contains(c);
  });
}

// Visible ASCII, space, tab and obs-text: no CR, LF, NUL or other controls (RFC 9110 §5.5).
bool is_field_value(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
  });
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return lower;
}

bool belongs_to_client(std::string_view lower_name) {
  constexpr std::array<std::string_view, 8> kOwn = {
      "host", "content-length", "transfer-encoding", "connection", "expect", "te", "trailer", "upgrade"};
  return std::ranges::find(kOwn, lower_name) != kOwn.end() || lower_name.starts_with("proxy-");
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

std::string part_of(const Url& url, CURLUPart part, unsigned flags) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, flags) != CURLUE_OK) return {};
  const std::unique_ptr<char, decltype(&curl_free)> owner(text, &curl_free);
  return text;
}

Result<Url> parse_url(const std::string& url) {
  const auto bad = [](std::string_view why) {
    return fail(ErrorCode::kBadRequest, "The URL is not valid: " + std::string(why) + ".");
  };
  // Stricter than libcurl, which forgives what other parsers (those of an allowlist, say) read as another host.
  const bool plain = std::ranges::all_of(url, [](char c) { return c > 0x20 && c < 0x7F && c != '\\'; });
  if (!plain) return bad("it must be ASCII without spaces, controls and backslashes");
  const auto host = url.find("://");
  if (host == std::string::npos || url.find('/') != host + 1 || url.substr(host + 3).starts_with('/')) {
    return bad("it must be absolute");
  }
  Url parsed(curl_url());
  const auto code = curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), CURLU_DISALLOW_USER | CURLU_PATH_AS_IS);
  if (code != CURLUE_OK) return bad(curl_url_strerror(code));
  const auto scheme = part_of(parsed, CURLUPART_SCHEME, 0);
  if (scheme != "http" && scheme != "https") return bad("only http and https are supported");
  return parsed;
}

void append(std::unique_ptr<curl_slist, FreeList>& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  BH_ASSERT(longer != nullptr);
  static_cast<void>(list.release());
  list.reset(longer);
}

// The address and port that libcurl is about to dial.
std::optional<std::pair<ip::address, std::uint16_t>> endpoint_of(const curl_sockaddr& target) {
  if (target.family == AF_INET && target.addrlen >= sizeof(sockaddr_in)) {
    sockaddr_in v4{};
    std::memcpy(&v4, &target.addr, sizeof v4);
    return std::pair(ip::address(ip::address_v4(ntohl(v4.sin_addr.s_addr))), ntohs(v4.sin_port));
  }
  if (target.family == AF_INET6 && target.addrlen >= sizeof(sockaddr_in6)) {
    // curl_sockaddr ends in a sockaddr, behind which libcurl keeps room for larger addresses.
    sockaddr_in6 v6{};
    std::memcpy(&v6, static_cast<const void*>(&target.addr), sizeof v6);
    ip::address_v6::bytes_type bytes{};
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    return std::pair(ip::address(ip::address_v6(bytes, v6.sin6_scope_id)), ntohs(v6.sin6_port));
  }
  return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<Transfer>> Transfer::make(ClientRequest request, const HttpClientOptions& options,
                                                 std::uint64_t& buffered) {
  std::unique_ptr<Transfer> transfer(new Transfer(std::move(request), options.max_buffered, buffered));
  BH_TRY_VOID(transfer->prepare(options));
  return transfer;
}

Transfer::~Transfer() {
  buffered_ -= held_;
  if (download_ && !keep_download_) ::unlink(request_.download_file.c_str());
}

std::string Transfer::pool_key() const { return (request_.dial_guard ? "guarded:" : "open:") + request_.pool; }

Status Transfer::prepare(const HttpClientOptions& options) {
  // libcurl takes 0 for no time-out at all.
  if (request_.timeout <= Millis(0)) return fail(ErrorCode::kDeadlineExceeded);
  if (request_.connect_timeout <= Millis(0)) request_.connect_timeout = request_.timeout;
  if (!is_token(request_.method)) return fail(ErrorCode::kBadRequest, "The method is not valid.");
  easy_.reset(curl_easy_init());
  if (!easy_) return fail(ErrorCode::kOverloaded);
  set_connection_options(options);
  BH_TRY_VOID(prepare_target());
  BH_TRY_VOID(prepare_headers());
  BH_TRY_VOID(prepare_body());
  started_ = std::chrono::steady_clock::now();
  return {};
}

void Transfer::set_connection_options(const HttpClientOptions& options) {
  CURL* easy = easy_.get();
  set(easy, CURLOPT_URL, request_.url.c_str());
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_PATH_AS_IS, 1L);
  set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(easy, CURLOPT_PROXY, "");  // else the environment's
  set(easy, CURLOPT_NOSIGNAL, 1L);
  // A slow name server must not hold the event loop when a request times out: its thread is left to end by itself.
  set(easy, CURLOPT_QUICK_EXIT, 1L);
  set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request_.timeout.count()));
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.connect_timeout.count()));
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_BUFFERSIZE, kBufferSize);
  set(easy, CURLOPT_ERRORBUFFER, error_text_.data());
  set(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  set(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options.ca_file.empty()) set(easy, CURLOPT_CAINFO, options.ca_file.c_str());
  if (!request_.pinned_public_keys.empty()) {
    set(easy, CURLOPT_PINNEDPUBLICKEY, request_.pinned_public_keys.c_str());
  }
  if (request_.content == ClientRequest::Content::kDecoded) set(easy, CURLOPT_ACCEPT_ENCODING, kEncodings.data());

  using Self = Transfer;
  set(easy, CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(
      easy, CURLOPT_HEADERFUNCTION, +[](char* text, std::size_t size, std::size_t count, void* self) {
        return static_cast<Self*>(self)->on_header({text, size * count});
      });
  set(easy, CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(
      easy, CURLOPT_WRITEFUNCTION, +[](char* text, std::size_t size, std::size_t count, void* self) {
        return static_cast<Self*>(self)->on_body({text, size * count});
      });
  set(easy, CURLOPT_OPENSOCKETDATA, static_cast<void*>(this));
  set(
      easy, CURLOPT_OPENSOCKETFUNCTION, +[](void* self, curlsocktype purpose, curl_sockaddr* address) {
        return purpose == CURLSOCKTYPE_IPCXN ? static_cast<Self*>(self)->open_socket(*address) : CURL_SOCKET_BAD;
      });
}

Status Transfer::prepare_target() {
  BH_TRY(const Url url, parse_url(request_.url));
  const auto host = part_of(url, CURLUPART_HOST, 0);
  const auto port = part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  const auto given_port = part_of(url, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
  authority_ = given_port.empty() ? host : host + ":" + given_port;
  if (request_.addresses.empty()) return {};
  // "+": forgotten again like an answer of DNS.
  std::string entry = "+" + host + ":" + port + ":";
  for (const auto& address : request_.addresses) {
    if (entry.back() != ':') entry += ',';
    entry += address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
  }
  append(address_list_, entry);
  set(easy_.get(), CURLOPT_RESOLVE, address_list_.get());
  return {};
}

Status Transfer::count_sent() const { return request_.meter ? request_.meter(head_size() + body_size_) : Status(); }

// The length of the head that libcurl makes of all this.
std::uint64_t Transfer::head_size() const {
  const auto path = request_.url.find('/', request_.url.find("://") + 3);
  const auto fragment = std::min(request_.url.find('#'), request_.url.size());
  const auto target = path < fragment ? fragment - path : 1;
  std::uint64_t size = request_.method.size() + 1 + target + std::string_view(" HTTP/1.1\r\n").size();
  size += std::string_view("Host: \r\n").size() + authority_.size() + header_list_bytes_;
  if (sends_body_) size += std::string_view("Content-Length: \r\n").size() + std::to_string(body_size_).size();
  return size + 2;
}

Status Transfer::prepare_headers() {
  const auto add = [this](const std::string& line) { append(header_list_, line); };
  // Fields that libcurl adds by itself.
  const auto count = [this](std::string_view name, std::string_view value) {
    header_list_bytes_ += name.size() + value.size() + (value.empty() ? 3 : 4);
  };
  bool has_type = false;
  bool has_agent = false;
  bool has_accept = false;
  for (std::size_t i = 0; i < request_.headers.size(); ++i) {
    const auto [name, value] = request_.headers.at(i);
    if (!is_token(name) || !is_field_value(value)) {
      return fail(ErrorCode::kBadRequest, "A header field is not valid.");
    }
    const auto lower = lower_case(name);
    if (belongs_to_client(lower)) continue;
    has_type = has_type || lower == "content-type";
    has_agent = has_agent || lower == "user-agent";
    // libcurl's notation: "Name:" would remove the field, "Name;" sends it empty.
    has_accept = has_accept || lower == "accept";
    const auto trimmed = trim(value);
    count(name, trimmed);
    add(std::string(name) + (trimmed.empty() ? ";" : ": " + std::string(trimmed)));
  }
  if (!has_agent) {
    set(easy_.get(), CURLOPT_USERAGENT, "bulkhead");
    count("User-Agent", "bulkhead");
  }
  if (!has_accept) count("Accept", "*/*");
  if (request_.content == ClientRequest::Content::kDecoded) count("Accept-Encoding", kEncodings);
  if (!request_.aws_signature) {
    // Without these lines libcurl adds a form type and waits for 100-continue. It would sign them as empty fields, so
    // signed requests go without.
    if (!has_type) add("Content-Type:");
    add("Expect:");
  } else {
    const auto& aws = *request_.aws_signature;
    set(easy_.get(), CURLOPT_AWS_SIGV4, ("aws:amz:" + aws.region + ":" + aws.service).c_str());
    set(easy_.get(), CURLOPT_USERNAME, aws.access_key.c_str());
    set(easy_.get(), CURLOPT_PASSWORD, aws.secret_key.c_str());
  }
  set(easy_.get(), CURLOPT_HTTPHEADER, header_list_.get());
  return {};
}

Status Transfer::prepare_body() {
  CURL* easy = easy_.get();
  body_size_ = request_.body.size();
  if (!request_.upload_file.empty()) {
    BH_TRY(upload_, process::open_for_reading(request_.upload_file));
    BH_TRY(const auto file_size, process::file_size(upload_.get()));
    body_size_ = file_size.value;
  }
  const bool expects_length = request_.method == "POST" || request_.method == "PUT" || request_.method == "PATCH";
  sends_body_ = request_.method != "HEAD" && (has_body() || expects_length);
  if (!sends_body_) body_size_ = 0;
  if (request_.method == "HEAD") {
    set(easy, CURLOPT_NOBODY, 1L);
  } else if (sends_body_) {
    // As a POST whatever the method, because libcurl's upload mode sends Expect: 100-continue with every PUT.
    set(easy, CURLOPT_POST, 1L);
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_size_));
    if (upload_) {
      set(easy, CURLOPT_UPLOAD_BUFFERSIZE, kBufferSize);
      set(easy, CURLOPT_READDATA, static_cast<void*>(this));
      set(
          easy, CURLOPT_READFUNCTION, +[](char* into, std::size_t piece, std::size_t count, void* self) {
            return static_cast<Transfer*>(self)->read_body(into, piece * count);
          });
      set(easy, CURLOPT_SEEKDATA, static_cast<void*>(this));
      set(
          easy, CURLOPT_SEEKFUNCTION, +[](void* self, curl_off_t offset, int origin) {
            const bool done = origin == SEEK_SET && offset >= 0 &&
                              static_cast<Transfer*>(self)->rewind_body(static_cast<std::uint64_t>(offset));
            return done ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
          });
    } else {
      set(easy, CURLOPT_POSTFIELDS, request_.body.c_str());
    }
  }
  if (request_.method != "HEAD") set(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  return {};
}

std::size_t Transfer::on_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kHeaderLimit) {
    failure_ = fail(ErrorCode::kPayloadTooLarge, "The answer's header is too large.").error();
    return 0;  // ends the transfer
  }
  if (request_.meter) {
    if (auto counted = request_.meter(line.size()); !counted) {
      failure_ = std::move(counted.error());
      return 0;
    }
  }
  const auto text = trim(line);
  if (line.starts_with("HTTP/")) {  // a new block: after 100 Continue, say
    response_.headers.clear();
    header_complete_ = false;
    encodings_ = 0;
  } else if (text.empty()) {
    header_complete_ = true;
  } else if (!header_complete_) {  // else a trailer, which nobody asked for
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return line.size();
    const auto name = text.substr(0, colon);
    const auto value = trim(text.substr(colon + 1));
    response_.headers.add(name, value);
    if (request_.content == ClientRequest::Content::kDecoded && lower_case(name) == "content-encoding") {
      // A few layers of compression can keep the processor busy with gigabytes that never come out at the end.
      encodings_ += 1 + static_cast<int>(std::ranges::count(value, ','));
      if (encodings_ > 1) {
        failure_ = fail(ErrorCode::kUnavailable, "The answer is compressed more than once.").error();
        return 0;
      }
    }
  }
  return line.size();
}

std::size_t Transfer::on_body(std::string_view piece) {
  auto stored = store(piece);
  if (stored) return piece.size();
  failure_ = std::move(stored.error());
  return piece.size() + 1;  // any other number than its size ends the transfer; 0 would not for an empty piece
}

Status Transfer::store(std::string_view piece) {
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  const bool to_file = !request_.download_file.empty() && status >= 200 && status < 300;
  const bool bounded = !request_.download_file.empty() && !to_file;
  const auto limit = bounded ? std::min(request_.response_limit, kErrorBodyLimit) : request_.response_limit;
  received_ += piece.size();
  BH_TRY_VOID(count_received());
  if (received_ > limit.value) {
    return fail(ErrorCode::kPayloadTooLarge, "The answer is larger than " + to_string(limit) + ".");
  }
  if (!to_file) {
    if (buffered_ + piece.size() > max_buffered_.value) {
      return fail(ErrorCode::kOverloaded, "Too many outbound requests have large answers.");
    }
    buffered_ += piece.size();
    held_ += piece.size();
    response_.body.append(piece);
    return {};
  }
  if (!download_) {
    BH_TRY(download_, process::create_new_file(request_.download_file));
  }
  return process::write_all(download_.get(), piece);
}

// Compressed bodies are counted as they came, which only libcurl knows; it may count a piece after handing it over.
Status Transfer::count_received() {
  if (!request_.meter) return {};
  auto arrived = received_;
  if (request_.content == ClientRequest::Content::kDecoded) {
    curl_off_t size = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_DOWNLOAD_T, &size);
    arrived = static_cast<std::uint64_t>(size);
  }
  if (arrived <= counted_) return {};
  const auto more = arrived - counted_;
  counted_ = arrived;
  return request_.meter(more);
}

std::size_t Transfer::read_body(char* into, std::size_t size) {
  ssize_t got = -1;
  do {
    got = ::pread(upload_.get(), into, size, static_cast<off_t>(upload_at_));
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    failure_ = process::fail_errno(errno, "read", request_.upload_file).error();
    return CURL_READFUNC_ABORT;
  }
  upload_at_ += static_cast<std::uint64_t>(got);
  return static_cast<std::size_t>(got);
}

bool Transfer::rewind_body(std::uint64_t offset) {
  upload_at_ = offset;
  return true;
}

curl_socket_t Transfer::open_socket(const curl_sockaddr& target) {
  const auto endpoint = endpoint_of(target);
  if (!endpoint) return CURL_SOCKET_BAD;
  if (request_.dial_guard) {
    if (auto allowed = request_.dial_guard(endpoint->first, endpoint->second); !allowed) {
      refusal_ = std::move(allowed.error());
      return CURL_SOCKET_BAD;  // libcurl tries the next address, then reports that it could not connect
    }
  }
  return ::socket(target.family, target.socktype | SOCK_CLOEXEC, target.protocol);
}

Result<ClientResponse> Transfer::finish(CURLcode code) {
  const std::string_view said(error_text_.data());
  const std::string detail = said.empty() ? curl_easy_strerror(code) : std::string(said);
  const auto counted = count_received();
  if (failure_) return fail(std::move(*failure_));
  if (!counted) return fail(counted.error());
  if (code == CURLE_OK) {
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    response_.status = static_cast<int>(status);
    if (!request_.download_file.empty() && status >= 200 && status < 300) {
      if (!download_) {  // an empty body
        BH_TRY(download_, process::create_new_file(request_.download_file));
      }
      keep_download_ = true;
    }
    return std::move(response_);
  }
  if (refusal_ && code == CURLE_COULDNT_CONNECT) return fail(std::move(*refusal_));
  return failure_of(code, detail);
}

std::unexpected<Error> Transfer::failure_of(CURLcode code, std::string detail) const {
  if (code == CURLE_URL_MALFORMAT) return fail(ErrorCode::kBadRequest, "The URL is not valid.", detail);
  // libcurl has one code for both time-outs. Its clock may be a little ahead of ours.
  const auto took = std::chrono::steady_clock::now() - started_ + Millis(5);
  if (code == CURLE_OPERATION_TIMEDOUT && took >= request_.timeout) {
    return fail(ErrorCode::kDeadlineExceeded, "The target did not answer in time.", detail);
  }
  const auto broken = [&](std::string_view why) {
    return fail(ErrorCode::kUnavailable, std::string(why), std::move(detail));
  };
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return broken("The target's name could not be resolved.");
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
      return broken("The target's public key is not the pinned one.");
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
      return broken("The target's certificate was not accepted, or TLS failed.");
    case CURLE_BAD_CONTENT_ENCODING:
      return broken("The answer's compression is damaged or of an unknown kind.");
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
      return broken("The target could not be reached.");
    default:
      return broken("The connection to the target broke.");
  }
}

}  // namespace bulkhead::net::detail
