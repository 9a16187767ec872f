#include "platform/net/http.h"
#include "platform/observe/log_line.h"

namespace bulkhead::net {
namespace {

void append_text(std::string& out, std::string_view name, std::string_view value) {
  out += out.size() > 1 ? "," : "";
  log::append_json_string(out, name);
  out += ':';
  log::append_json_string(out, value);  // valid JSON even when a message quotes bytes of the client
}

std::string shown_detail(const Error& error, const ErrorInfo& info) {
  if (!error.message.empty()) return error.message;
  return std::string(info.title) + ". " + std::string(info.action);
}

std::string problem_body(const Error& error, const ErrorInfo& info, std::string_view request_id) {
  const std::string detail = shown_detail(error, info);
  std::string out = "{";
  append_text(out, "type", "urn:bulkhead:error:" + std::string(info.wire_code));
  append_text(out, "title", info.title);
  out += ",\"status\":" + std::to_string(info.http_status);
  append_text(out, "detail", detail);
  append_text(out, "code", info.wire_code);
  append_text(out, "request_id", request_id);
  if (!error.fields.empty()) {
    out += ",\"errors\":[";
    for (const FieldError& field : error.fields) {
      std::string item = "{";
      append_text(item, "pointer", field.pointer);
      append_text(item, "message", field.message);
      out += (&field == &error.fields.front() ? "" : ",") + item + '}';
    }
    out += ']';
  }
  append_text(out, "message", detail);
  return out + '}';
}

}  // namespace

Response problem(const Error& error, std::string_view request_id) {
  const ErrorInfo& info = error_info(error.code);
  Response response =
      Response::text(info.http_status, "application/problem+json", problem_body(error, info, request_id));
  response.headers.add("cache-control", "no-store");
  if (error.retry_after_ms > 0) {
    response.headers.add("retry-after", std::to_string((error.retry_after_ms + 999) / 1000));
  } else if (info.http_status == 429 || info.http_status == 503) {
    response.headers.add("retry-after", "1");
  }
  if (info.http_status == 401) {
    // RFC 6750 §3.1: no error code where no credential was sent.
    response.headers.add("www-authenticate", error.code == ErrorCode::kInvalidCredential
                                                 ? "Bearer realm=\"bulkhead\", error=\"invalid_token\""
                                                 : "Bearer realm=\"bulkhead\"");
  }
  return response;
}

}  // namespace bulkhead::net
