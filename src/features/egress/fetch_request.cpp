#include "features/egress/fetch_request.h"

#include <algorithm>
#include <array>

#include "features/egress/header_policy.h"

namespace bulkhead::egress {
namespace {

constexpr std::size_t kMaxHandle = 256;
constexpr std::array<std::string_view, 7> kMethods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

// "Bearer " keeps its space: libraries that trim would glue it to the secret.
FetchResult<FetchHeader> read_header(std::string_view name, const json::value& value) {
  FetchHeader header{.name = lower(name), .value = {}, .secret_handle = {}};
  if (!is_field_name(name)) return invalid("A header's name is not valid.");
  if (value.is_string()) {
    header.value = std::string_view(value.get_string());
  } else if (value.is_object()) {
    std::vector<FieldError> problems;
    JsonReader reader(value, problems, "/headers/" + escape_pointer(header.name));
    header.secret_handle = reader.required_string("secret_handle").value_or("");
    header.value = reader.optional_string("prefix").value_or("");
    reader.refuse_unknown();
    if (!problems.empty()) return invalid(problems[0].pointer + " " + problems[0].message + ".");
    if (header.secret_handle.empty() || header.secret_handle.size() > kMaxHandle) {
      return invalid("The secret_handle of " + header.name + " is not valid.");
    }
  } else {
    return invalid("The header " + header.name + " must be a string or name a secret_handle.");
  }
  if (!is_field_value(header.value)) return invalid("The value of " + header.name + " holds control characters.");
  return header;
}

FetchResult<std::vector<FetchHeader>> read_headers(const json::value* value) {
  std::vector<FetchHeader> headers;
  if (value == nullptr) return headers;
  if (!value->is_object()) return invalid("headers must be an object.");
  const auto& members = value->get_object();
  if (members.size() > kMaxHeaderCount) return invalid("There are more than 64 headers.");
  std::size_t size = 0;
  for (const auto& [name, text] : members) {
    auto header = read_header(name, text);
    if (!header) return std::unexpected(std::move(header.error()));
    size += header->name.size() + header->value.size() + 4;
    if (size > kMaxHeaderBytes.value) return invalid("The headers are larger than 16 KiB.");
    switch (request_field_rule(header->name)) {
      case FieldRule::kForbidden:
        return denied("header", "The header " + header->name + " can't be set by an extension.");
      case FieldRule::kIgnored:
        continue;
      case FieldRule::kPass:
        break;
    }
    if (std::ranges::find(headers, header->name, &FetchHeader::name) != headers.end()) {
      return invalid("The header " + header->name + " is there twice.");
    }
    headers.push_back(std::move(*header));
  }
  return headers;
}

FetchResult<std::string> read_body(const std::optional<std::string>& text, const std::optional<std::string>& base64) {
  if (text && base64) return invalid("Only one of body and body_b64 can be there.");
  if (text) return *text;
  if (!base64) return std::string();
  auto bytes = base64_decode(*base64);
  if (!bytes) return invalid("body_b64 is not valid base64.");
  return std::move(*bytes);
}

FetchResult<Redirects> read_redirects(const std::string& text) {
  if (text == "follow") return Redirects::kFollow;
  if (text == "manual") return Redirects::kManual;
  if (text == "error") return Redirects::kError;
  return invalid("redirect must be follow, manual or error.");
}

FetchResult<std::string> read_method(std::string method) {
  if (!is_field_name(method)) return invalid("The method is not valid.");
  if (std::ranges::find(kMethods, method) == kMethods.end()) {
    return denied("method", "Only GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS are allowed, in capitals.");
  }
  return method;
}

}  // namespace

const FetchHeader* FetchRequest::header(std::string_view name) const {
  const auto found = std::ranges::find(headers, name, &FetchHeader::name);
  return found == headers.end() ? nullptr : &*found;
}

FetchResult<FetchRequest> parse_fetch_request(const json::value& document) {
  std::vector<FieldError> problems;
  JsonReader reader(document, problems);
  const auto url = reader.required_string("url");
  auto method = reader.optional_string("method");
  const auto* headers = reader.member("headers");
  const auto body = reader.optional_string("body");
  const auto body_b64 = reader.optional_string("body_b64");
  const auto timeout = reader.optional_integer("timeout_ms", 1, kMaxFetchTime.count());
  const auto redirect = reader.optional_string("redirect");
  reader.refuse_unknown();
  if (!problems.empty()) return invalid(problems[0].pointer + " " + problems[0].message + ".");

  FetchRequest request;
  const auto read = [](auto result, auto& into) -> FetchResult<void> {
    if (!result) return std::unexpected(std::move(result.error()));
    into = std::move(*result);
    return {};
  };
  auto done = read(read_method(std::move(method).value_or("GET")), request.method);
  if (done) done = read(TargetUrl::parse(*url), request.url);
  if (done) done = read(read_headers(headers), request.headers);
  if (done) done = read(read_body(body, body_b64), request.body);
  if (done) done = read(read_redirects(redirect.value_or("follow")), request.redirects);
  if (!done) return std::unexpected(std::move(done.error()));
  if (!request.body.empty() && (request.method == "GET" || request.method == "HEAD")) {
    return invalid("A " + request.method + " has no body.");
  }
  if (timeout) request.timeout = Millis(*timeout);
  return request;
}

FetchResult<void> apply_redirect(FetchRequest& request, int status, std::string_view location) {
  auto target = request.url.resolve(location);
  if (!target) return std::unexpected(std::move(target.error()));
  if (request.url.is_https() && !target->is_https()) {
    return denied("scheme_downgrade", "A redirect leads from https to http.");
  }
  const bool to_get = (status == 303 && request.method != "GET" && request.method != "HEAD") ||
                      ((status == 301 || status == 302) && request.method == "POST");
  if (to_get) {
    request.method = "GET";
    request.body.clear();
    std::erase_if(request.headers, [](const FetchHeader& header) { return is_body_field(header.name); });
  }
  if (!request.url.same_origin(*target)) {
    std::erase_if(request.headers, [](const FetchHeader& header) {
      return !header.secret_handle.empty() || is_credential_field(header.name);
    });
  }
  request.url = std::move(*target);
  return {};
}

}  // namespace bulkhead::egress
