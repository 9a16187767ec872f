#include "platform/net/http_wire.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "platform/net/field_syntax.h"

namespace bulkhead::net {
namespace {

std::string_view reason(int status) {  // RFC 9110 §15, RFC 6585
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Status";
  }
}

constexpr std::array<std::string_view, 5> kServerFields = {"content-length", "transfer-encoding", "connection",
                                                           "keep-alive", "date"};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool is_server_field(std::string_view name) {
  return std::ranges::any_of(kServerFields, [&](std::string_view field) {
    return field.size() == name.size() &&
           std::equal(name.begin(), name.end(), field.begin(), [](char a, char b) { return lower(a) == b; });
  });
}

bool is_token(std::string_view name) { return !name.empty() && std::ranges::all_of(name, is_token_character); }

void append_number(std::string& out, std::uint64_t value) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

void append_status_line(std::string& out, int status) {
  if (status == 200) {
    out += "HTTP/1.1 200 OK\r\n";
    return;
  }
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::uint64_t>(std::clamp(status, 100, 999)));
  out += ' ';
  out += reason(status);
  out += "\r\n";
}

}  // namespace

std::string DateCache::format(std::time_t seconds) {
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  constexpr std::array<std::string_view, 7> days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char rest[32];
  const std::size_t size = std::strftime(rest, sizeof rest, " %Y %H:%M:%S GMT", &parts);
  std::string text(days[static_cast<std::size_t>(parts.tm_wday)]);  // not %a: the locale must not matter
  text += parts.tm_mday < 10 ? ", 0" : ", ";
  text += std::to_string(parts.tm_mday) + ' ';
  text += months[static_cast<std::size_t>(parts.tm_mon)];
  return text.append(rest, size);
}

std::string_view DateCache::now() {
  std::timespec time{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &time);
  if (time.tv_sec != second_) {
    second_ = time.tv_sec;
    text_ = format(second_);
  }
  return text_;
}

std::size_t append_head(std::string& out, const AnswerHead& answer) {
  append_status_line(out, answer.response.status);
  std::size_t bad = 0;
  const Headers& headers = answer.response.headers;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const auto [name, value] = headers.at(i);
    if (is_server_field(name)) continue;
    if (is_token(name) && std::ranges::none_of(value, is_forbidden_control)) {
      append_field(out, name, value);
    } else {
      ++bad;
    }
  }
  append_field(out, "date", answer.date);
  if (answer.framing == BodyFraming::kLength) {
    out += "content-length: ";
    append_number(out, answer.length);
    out += "\r\n";
  } else if (answer.framing == BodyFraming::kChunked) {
    out += "transfer-encoding: chunked\r\n";
  }
  if (!answer.keep_alive) {
    out += "connection: close\r\n";
  } else if (!answer.http11) {
    out += "connection: keep-alive\r\n";
  }
  out += "\r\n";
  return bad;
}

}  // namespace bulkhead::net
