#include "platform/net/http_parser.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <charconv>
#include <cstring>
#include <limits>

namespace bulkhead::net {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using BeastError = boost::system::error_code;

constexpr std::size_t kLongestMethod = 32;
std::unexpected<Error> refuse(std::string_view why) { return fail(ErrorCode::kBadRequest, std::string(why)); }

// uri-host [":" port] (RFC 9110 §7.2), without the sub-delims that no host name uses. Empty is allowed.
bool is_host(std::string_view value) {
  return std::ranges::all_of(value, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~%:[]").contains(c);
  });
}

struct AbsoluteForm {
  std::string_view authority;
  std::string_view rest;  // path and query, may be empty
};

std::optional<AbsoluteForm> split_absolute(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.size() < scheme.size() || !beast::iequals(target.substr(0, scheme.size()), scheme)) continue;
    const std::string_view tail = target.substr(scheme.size());
    const std::size_t end = std::min(tail.find_first_of("/?"), tail.size());
    return AbsoluteForm{tail.substr(0, end), tail.substr(end)};
  }
  return std::nullopt;
}

// Beast's parser writing straight into our head. It lives for one head; bodies never reach it.
class HeadParser final : public http::basic_parser<true> {
 public:
  HeadParser(RequestHead& head, HeadFacts& facts) : head_(head), facts_(facts) {
    // The scanner and the connection hold the limits.
    header_limit(std::numeric_limits<std::uint32_t>::max());
    body_limit(boost::none);
  }

  Status parse(std::string_view text) {
    BeastError failure;
    const std::size_t used = put({text.data(), text.size()}, failure);
    if (!why_.empty()) return refuse(why_);
    if (failure) return refuse("The request's head is malformed: " + failure.message() + ".");
    if (used != text.size()) return refuse("The request's head is malformed.");
    facts_.keep_alive = keep_alive();
    return {};
  }

 private:
  void stop(std::string_view why, BeastError& failure) {
    why_ = why;
    failure = http::make_error_code(http::error::bad_field);
  }

  void on_request_impl(http::verb, beast::string_view method, beast::string_view target, int version,
                       BeastError& failure) override {
    head_.method = net::parse_method(method);
    head_.method_text = method;
    facts_.http11 = version == 11;
    if (target.contains('#')) return stop("The target must not have a fragment.", failure);
    if (const auto absolute = split_absolute(target)) {
      if (absolute->authority.empty() || !is_host(absolute->authority))
        return stop("The target is not valid.", failure);
      authority_ = absolute->authority;
      head_.target = absolute->rest.starts_with('/') ? "" : "/";
      head_.target += absolute->rest;
    } else if (target.starts_with('/') || (target == "*" && head_.method == Method::kOptions)) {
      head_.target = target;
    } else {
      stop("The target is not valid.", failure);
    }
  }

  void on_field_impl(http::field name, beast::string_view text, beast::string_view value,
                     BeastError& failure) override {
    switch (name) {
      case http::field::content_length:
        if (++lengths_ > 1) return stop("Content-Length was sent more than once.", failure);
        if (!read_length(value)) return stop("Content-Length is not a number.", failure);
        break;
      case http::field::transfer_encoding:
        if (facts_.chunked) return stop("Transfer-Encoding was sent more than once.", failure);
        if (!beast::iequals(value, "chunked")) return stop("Only Transfer-Encoding: chunked is supported.", failure);
        facts_.chunked = true;
        break;
      case http::field::host:
        if (++hosts_ > 1) return stop("Host was sent more than once.", failure);
        if (!is_host(value)) return stop("Host is not valid.", failure);
        break;
      case http::field::expect:
        facts_.expects_continue = beast::iequals(value, "100-continue");
        break;
      default:
        break;
    }
    head_.headers.add(text, value);
  }

  bool read_length(std::string_view value) {
    const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), facts_.content_length);
    return failure == std::errc{} && end == value.data() + value.size() && !value.empty();
  }

  void on_header_impl(BeastError& failure) override {
    if (facts_.chunked && lengths_ > 0)
      return stop("Content-Length and Transfer-Encoding exclude each other.", failure);
    if (facts_.chunked && !facts_.http11) return stop("HTTP/1.0 has no Transfer-Encoding.", failure);
    if (facts_.http11 && hosts_ == 0) return stop("Host is missing.", failure);
    if (!facts_.http11) facts_.expects_continue = false;  // RFC 9110 §10.1.1
    if (!authority_.empty()) head_.headers.set("host", authority_);
  }

  void on_response_impl(int, beast::string_view, int, BeastError&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, BeastError&) override {}
  std::size_t on_body_impl(beast::string_view, BeastError&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, BeastError&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view, BeastError&) override { return 0; }
  void on_finish_impl(BeastError&) override {}

  RequestHead& head_;
  HeadFacts& facts_;
  std::string_view why_;        // a literal
  std::string_view authority_;  // of an absolute-form target
  std::size_t lengths_ = 0;
  std::size_t hosts_ = 0;
};

}  // namespace

void RequestParser::restart() { scanned_ = line_start_ = head_start_ = lines_ = 0; }

Status RequestParser::check_request_line(std::string_view so_far) const {
  const std::size_t method = so_far.find(' ');
  if (std::min(method, so_far.size()) > kLongestMethod) return refuse("The method is too long.");
  if (method == std::string_view::npos) return {};
  const std::size_t target = std::min(so_far.find(' ', method + 1), so_far.size()) - method - 1;
  if (target > limits_.target.value) return fail(ErrorCode::kUriTooLong);
  return {};
}

Result<std::optional<std::size_t>> RequestParser::scan(std::string_view input) {
  while (true) {
    const std::size_t end = input.find('\n', scanned_);
    const bool whole = end != std::string_view::npos;
    scanned_ = whole ? end + 1 : input.size();
    std::string_view line = input.substr(line_start_, scanned_ - line_start_);
    if (lines_ == 0) BH_TRY_VOID(check_request_line(line));
    if (scanned_ > limits_.head.value) return fail(ErrorCode::kHeadersTooLarge);
    if (!whole) return std::optional<std::size_t>();

    line.remove_suffix(1);
    if (!line.ends_with('\r')) return refuse("Lines must end with CR LF.");
    line.remove_suffix(1);
    if (line.contains('\r')) return refuse("A carriage return stands inside a line.");
    line_start_ = scanned_;
    if (line.empty()) {
      if (lines_ > 0) return std::optional<std::size_t>(scanned_);
      // RFC 9112 §2.2: one empty line before the request line is skipped.
      if (head_start_ > 0) return refuse("The request line is missing.");
      head_start_ = scanned_;
      continue;
    }
    if (line.front() == ' ' || line.front() == '\t') return refuse("Folded header lines are not accepted.");
    ++lines_;
  }
}

Result<std::optional<std::size_t>> RequestParser::parse_head(std::string_view input, RequestHead& head) {
  BH_TRY(const std::optional<std::size_t> size, scan(input));
  if (!size) return size;
  const std::string_view text = input.substr(head_start_, *size - head_start_);
  restart();
  facts_ = {};
  head.headers.clear();
  BH_TRY_VOID(HeadParser(head, facts_).parse(text));
  return size;
}

}  // namespace bulkhead::net
