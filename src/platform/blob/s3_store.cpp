#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <cerrno>
#include <charconv>
#include <optional>

#include "base/random.h"
#include "base/sha256.h"
#include "platform/blob/blob_key.h"
#include "platform/blob/s3_address.h"
#include "platform/blob/s3_xml.h"
#include "platform/blob/stores.h"
#include "platform/net/http_client.h"
#include "platform/process/file.h"

namespace bulkhead::blob {
namespace {

using net::ClientRequest;
using net::ClientResponse;
using Steady = std::chrono::steady_clock;

constexpr std::size_t kPage = 1000;  // S3's own maximum
constexpr Bytes kListingLimit = 8_MiB;
constexpr Bytes kMostInOnePut = 5_GiB;
constexpr Bytes kDeadlineStep = 64_MiB;
// An attempt without a body to move is given up after this long, so that one dead connection does not use up the
// deadline.
constexpr Millis kAttempt{5'000};
constexpr Millis kCheck{2'000};
constexpr Millis kFirstDelay{50};
constexpr Millis kMostDelay{2'000};
// Hashing less than this takes some 30 µs: not worth a thread.
constexpr std::size_t kHashInline = std::size_t{64} * 1024;
// Our own name for the content's hash, so that a second put of the same key can tell whether it is the same blob.
constexpr std::string_view kHashField = "x-amz-meta-sha256";

std::string hex_of(const Sha256Digest& digest) {
  return hex_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

const std::string& hash_of_nothing() {
  static const std::string kHash = hex_of(sha256(""));
  return kHash;
}

struct FileDigest {
  std::string hash;
  Bytes size;
};

Result<FileDigest> hash_file(const std::string& path) {
  BH_TRY(const auto fd, process::open_for_reading(path));
  Sha256 hash;
  std::string piece(std::size_t{256} * 1024, '\0');
  std::uint64_t size = 0;
  while (true) {
    const auto got = ::read(fd.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorCode::kInternal, {}, "read " + path);
    if (got == 0) break;
    hash.update(std::string_view(piece).substr(0, static_cast<std::size_t>(got)));
    size += static_cast<std::uint64_t>(got);
  }
  return FileDigest{.hash = hex_of(hash.finish()), .size = Bytes{size}};
}

// What one operation asks for; sent again as it is when an attempt fails.
struct Call {
  std::string method;
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  std::string upload_file{};
  std::string download_file{};
  std::string body_hash = hash_of_nothing();
  Bytes response_limit = 1_MiB;
  Millis deadline{};
  Millis attempt = kAttempt;
};

// Shared by the caller and the core that works on it, whoever ends first.
using SharedCall = std::shared_ptr<const Call>;
SharedCall share(Call call) { return std::make_shared<const Call>(std::move(call)); }

bool is_transient(int status) {
  // 409: a conditional request met another one for the same key that is not over yet.
  return status == 408 || status == 409 || status == 429 || (status >= 500 && status != 501 && status != 507);
}

bool is_transient(ErrorCode code) {
  return code == ErrorCode::kUnavailable || code == ErrorCode::kDeadlineExceeded || code == ErrorCode::kOverloaded;
}

Error unavailable(std::string detail) { return fail(ErrorCode::kBlobUnavailable, {}, std::move(detail)).error(); }

// An answer that is neither success nor expected by the operation.
Error refusal_of(const ClientResponse& response) {
  const auto code = parse_error_code(response.body);
  if (response.status == 507 || code == "QuotaExceeded" || code == "XMinioStorageFull") {
    return fail(ErrorCode::kStorageFull, {}, "S3 answered " + code).error();
  }
  if (response.status == 404 && code != "NoSuchBucket")
    return fail(ErrorCode::kNotFound, "There is no such blob.").error();
  return unavailable("S3 answered " + std::to_string(response.status) + " " + code);
}

class S3Store final : public Store {
 public:
  S3Store(S3Options options, S3Address address, Cores& cores)
      : options_(std::move(options)), address_(std::move(address)), pool_(options_.threads, options_.queue) {
    for (std::size_t i = 0; i < cores.size(); ++i) {
      lanes_.push_back(std::make_unique<Lane>(cores.at(i), options_.ca_file));
    }
  }

  Task<Status> put(std::string key, std::string bytes) override;
  Task<Status> put_file(std::string key, std::string path) override;
  Task<Result<std::string>> get(std::string key, Bytes at_most) override;
  Task<Status> get_to_file(std::string key, std::string path, Bytes at_most) override;
  Task<Result<Info>> info(std::string key) override;
  Task<Status> remove(std::string key) override;
  Task<Result<std::vector<std::string>>> list(std::string prefix, std::size_t at_most) override;
  Task<Status> check() override;

 private:
  // What belongs to one core.
  struct Lane {
    Lane(Core& of, const std::string& ca_file) : core(of), client(net::make_http_client(of, {.ca_file = ca_file})) {}
    Core& core;
    std::unique_ptr<net::HttpClient> client;
    SystemRandom random;
  };

  ClientRequest request_of(const Call& call, Millis timeout) const;
  Millis deadline_for(Bytes size) const;
  // Runs the call on the calling core, or on core 0 when called from elsewhere.
  Task<Result<ClientResponse>> perform(SharedCall call);
  Task<Result<ClientResponse>> attempt_until_deadline(Lane& lane, SharedCall call);
  Task<Status> put_object(std::string key, Call call, Bytes size);
  Task<Status> same_blob(std::string key, std::string hash, Bytes size);

  S3Options options_;
  S3Address address_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  // Cleared when the server turns out not to know If-None-Match on PUT: then writing the same key twice overwrites.
  std::atomic<bool> conditional_ = true;
  ThreadPool pool_;  // last: its threads end before the rest goes
};

Millis S3Store::deadline_for(Bytes size) const {
  const auto steps = std::min<std::uint64_t>(size.value / kDeadlineStep.value, 80);
  return options_.deadline * static_cast<std::int64_t>(1 + steps);
}

ClientRequest S3Store::request_of(const Call& call, Millis timeout) const {
  ClientRequest request{.method = call.method,
                        .url = call.url,
                        .body = call.body,
                        .upload_file = call.upload_file,
                        .download_file = call.download_file,
                        .timeout = timeout,
                        .response_limit = call.response_limit,
                        .pool = "operator:s3"};
  for (const auto& [name, value] : call.headers) request.headers.add(name, value);
  // libcurl 7.88 hashes only what it holds itself; with this field it signs the given hash.
  request.headers.add("x-amz-content-sha256", call.body_hash);
  request.aws_signature = net::AwsSignature{
      .access_key = options_.access_key, .secret_key = options_.secret_key, .region = options_.region, .service = "s3"};
  return request;
}

Task<Result<ClientResponse>> S3Store::perform(SharedCall call) {
  for (const auto& lane : lanes_) {
    if (lane->core.is_current()) co_return co_await attempt_until_deadline(*lane, std::move(call));
  }
  auto& first = *lanes_.front();
  co_return co_await asio::co_spawn(first.core.executor(), attempt_until_deadline(first, std::move(call)), use_task);
}

Task<Result<ClientResponse>> S3Store::attempt_until_deadline(Lane& lane, SharedCall call) {
  const auto until = Steady::now() + call->deadline;
  auto most_delay = kFirstDelay;
  while (true) {
    const auto left = std::chrono::ceil<Millis>(until - Steady::now());
    auto response = co_await lane.client->send(request_of(*call, std::clamp(left, Millis(1), call->attempt)));
    Error last;
    if (response && !is_transient(response->status)) co_return response;
    if (!response && !is_transient(response.error().code)) co_return response;
    last = response ? refusal_of(*response) : std::move(response.error());
    // Full jitter: many callers that failed together don't come back together.
    const auto delay = Millis(1 + lane.random.below(static_cast<std::uint64_t>(most_delay.count())));
    most_delay = std::min(most_delay * 2, kMostDelay);
    if (Steady::now() + delay >= until) {
      if (last.code == ErrorCode::kStorageFull) co_return fail(std::move(last));
      co_return fail_because(ErrorCode::kBlobUnavailable, {}, std::move(last));
    }
    co_await sleep_for(delay);
  }
}

Task<Status> S3Store::put(std::string key, std::string bytes) {
  BH_CO_TRY_VOID(check_key(key));
  const Bytes size{bytes.size()};
  Call call{.method = "PUT", .url = address_.object_url(key), .body = std::move(bytes)};
  if (call.body.size() <= kHashInline) {
    call.body_hash = hex_of(sha256(call.body));
  } else {
    BH_CO_TRY(call.body_hash, co_await pool_.run([&call] { return Result<std::string>(hex_of(sha256(call.body))); }));
  }
  co_return co_await put_object(std::move(key), std::move(call), size);
}

Task<Status> S3Store::put_file(std::string key, std::string path) {
  BH_CO_TRY_VOID(check_key(key));
  BH_CO_TRY(auto digest, co_await pool_.run([path] { return hash_file(path); }));
  if (digest.size > kMostInOnePut) co_return fail(ErrorCode::kPayloadTooLarge);
  Call call{.method = "PUT", .url = address_.object_url(key)};
  if (digest.size.value > 0) call.upload_file = std::move(path);
  call.body_hash = std::move(digest.hash);
  co_return co_await put_object(std::move(key), std::move(call), digest.size);
}

Task<Status> S3Store::put_object(std::string key, Call call, Bytes size) {
  call.deadline = deadline_for(size);
  if (size > 1_MiB) call.attempt = call.deadline;
  call.headers = {{"content-type", "application/octet-stream"}, {std::string(kHashField), call.body_hash}};
  const auto hash = call.body_hash;
  if (conditional_) call.headers.emplace_back("if-none-match", "*");
  const auto first = share(std::move(call));
  BH_CO_TRY(auto response, co_await perform(first));
  if (response.status == 501 && conditional_.exchange(false)) {
    auto plain = *first;
    plain.headers.pop_back();
    BH_CO_TRY(response, co_await perform(share(std::move(plain))));
  }
  if (response.status == 200) co_return Status{};
  if (response.status == 412) co_return co_await same_blob(std::move(key), hash, size);
  co_return fail(refusal_of(response));
}

// Something is there already: fine when it is the same.
Task<Status> S3Store::same_blob(std::string key, std::string hash, Bytes size) {
  BH_CO_TRY(
      const auto response,
      co_await perform(share({.method = "HEAD", .url = address_.object_url(key), .deadline = options_.deadline})));
  if (response.status != 200) co_return fail(refusal_of(response));
  const bool same = response.headers.find(kHashField) == hash &&
                    response.headers.find("content-length") == std::to_string(size.value);
  if (same) co_return Status{};
  co_return fail(ErrorCode::kAlreadyExists, "A blob of that name with other content exists.", key);
}

Task<Result<std::string>> S3Store::get(std::string key, Bytes at_most) {
  BH_CO_TRY_VOID(check_key(key));
  BH_CO_TRY(auto response, co_await perform(share({.method = "GET",
                                                   .url = address_.object_url(key),
                                                   .response_limit = at_most,
                                                   .deadline = deadline_for(at_most),
                                                   .attempt = deadline_for(at_most)})));
  if (response.status != 200) co_return fail(refusal_of(response));
  co_return std::move(response.body);
}

Task<Status> S3Store::get_to_file(std::string key, std::string path, Bytes at_most) {
  BH_CO_TRY_VOID(check_key(key));
  BH_CO_TRY(const auto response, co_await perform(share({.method = "GET",
                                                         .url = address_.object_url(key),
                                                         .download_file = std::move(path),
                                                         .response_limit = at_most,
                                                         .deadline = deadline_for(at_most),
                                                         .attempt = deadline_for(at_most)})));
  if (response.status != 200) co_return fail(refusal_of(response));
  co_return Status{};
}

Task<Result<Info>> S3Store::info(std::string key) {
  BH_CO_TRY_VOID(check_key(key));
  BH_CO_TRY(
      const auto response,
      co_await perform(share({.method = "HEAD", .url = address_.object_url(key), .deadline = options_.deadline})));
  if (response.status != 200) co_return fail(refusal_of(response));
  const auto length = response.headers.find("content-length");
  std::uint64_t size = 0;
  if (!length || std::from_chars(length->data(), length->data() + length->size(), size).ec != std::errc()) {
    co_return fail(unavailable("S3 sent no content-length"));
  }
  co_return Info{.size = Bytes{size}};
}

Task<Status> S3Store::remove(std::string key) {
  BH_CO_TRY_VOID(check_key(key));
  BH_CO_TRY(
      const auto response,
      co_await perform(share({.method = "DELETE", .url = address_.object_url(key), .deadline = options_.deadline})));
  if (response.status == 204 || response.status == 200) co_return Status{};
  auto refusal = refusal_of(response);
  if (refusal.code == ErrorCode::kNotFound) co_return Status{};
  co_return fail(std::move(refusal));
}

Task<Result<std::vector<std::string>>> S3Store::list(std::string prefix, std::size_t at_most) {
  BH_CO_TRY_VOID(check_prefix(prefix));
  std::vector<std::string> keys;
  std::string token;
  while (keys.size() < at_most) {
    std::vector<std::pair<std::string, std::string>> query = {
        {"list-type", "2"},
        {"max-keys", std::to_string(std::min(kPage, at_most - keys.size()))},
        {"prefix", options_.key_prefix + prefix}};
    if (!token.empty()) query.emplace_back("continuation-token", token);
    BH_CO_TRY(const auto response, co_await perform(share({.method = "GET",
                                                           .url = address_.bucket_url(std::move(query)),
                                                           .response_limit = kListingLimit,
                                                           .deadline = options_.deadline})));
    if (response.status != 200) {
      // There is no object here that could be missing.
      auto refusal = refusal_of(response);
      if (refusal.code == ErrorCode::kNotFound) refusal.code = ErrorCode::kBlobUnavailable;
      co_return fail(std::move(refusal));
    }
    BH_CO_TRY(auto page, parse_listing(response.body));
    for (auto& key : page.keys) {
      if (!key.starts_with(options_.key_prefix)) continue;
      key.erase(0, options_.key_prefix.size());
      // What others put into the bucket under names that we would refuse.
      if (keys.size() < at_most && check_key(key)) keys.push_back(std::move(key));
    }
    if (!page.truncated) break;
    token = std::move(page.next);
  }
  co_return keys;
}

Task<Status> S3Store::check() {
  BH_CO_TRY(
      const auto response,
      co_await perform(share({.method = "HEAD", .url = address_.bucket_url(), .deadline = kCheck, .attempt = kCheck})));
  if (response.status == 200) co_return Status{};
  if (response.status == 404) co_return fail(unavailable("the bucket does not exist"));
  co_return fail(refusal_of(response));
}

}  // namespace

Result<std::unique_ptr<Store>> make_s3_store(S3Options options, Cores& cores) {
  BH_TRY(auto address, S3Address::make(options));
  if (options.access_key.empty() || options.secret_key.empty()) {
    return fail(ErrorCode::kBadRequest, "The S3 access key and secret key must be set.");
  }
  return std::make_unique<S3Store>(std::move(options), std::move(address), cores);
}

}  // namespace bulkhead::blob
