#include "protocol/execute_json.h"

#include <array>

#include "protocol/json_text.h"

namespace bulkhead::protocol {
namespace {

void append_pairs(std::string& out, const StringPairs& pairs) {
  out += '{';
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (i > 0) out += ',';
    append_json_string(out, pairs[i].first);
    out += ':';
    append_json_string(out, pairs[i].second);
  }
  out += '}';
}

bool repeats_later(const StringPairs& pairs, std::size_t index) {
  for (std::size_t i = index + 1; i < pairs.size(); ++i) {
    if (pairs[i].first == pairs[index].first) return true;
  }
  return false;
}

bool stood_before(const StringPairs& pairs, std::size_t index) {
  for (std::size_t i = 0; i < index; ++i) {
    if (pairs[i].first == pairs[index].first) return true;
  }
  return false;
}

// "query": the last of a repeated key wins; "query_all": all values of each key (extensions.md §3).
void append_query(std::string& out, const StringPairs& query) {
  out += R"(,"query":{)";
  bool comma = false;
  for (std::size_t i = 0; i < query.size(); ++i) {
    if (repeats_later(query, i)) continue;
    if (comma) out += ',';
    comma = true;
    append_json_string(out, query[i].first);
    out += ':';
    append_json_string(out, query[i].second);
  }
  out += R"(},"query_all":{)";
  comma = false;
  for (std::size_t i = 0; i < query.size(); ++i) {
    if (stood_before(query, i)) continue;
    if (comma) out += ',';
    comma = true;
    append_json_string(out, query[i].first);
    out += ":[";
    for (std::size_t j = i; j < query.size(); ++j) {
      if (query[j].first != query[i].first) continue;
      if (j > i) out += ',';
      append_json_string(out, query[j].second);
    }
    out += ']';
  }
  out += '}';
}

// Fields of one name become one value (RFC 9110 §5.3).
void append_headers(std::string& out, const StringPairs& headers) {
  out += R"(,"headers":{)";
  bool comma = false;
  std::string combined;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    if (stood_before(headers, i)) continue;
    if (comma) out += ',';
    comma = true;
    append_json_string(out, headers[i].first);
    out += ':';
    if (!repeats_later(headers, i)) {
      append_json_string(out, headers[i].second);
      continue;
    }
    combined = headers[i].second;
    for (std::size_t j = i + 1; j < headers.size(); ++j) {
      if (headers[j].first == headers[i].first) combined.append(", ").append(headers[j].second);
    }
    append_json_string(out, combined);
  }
  out += '}';
}

void append_body(std::string& out, std::string_view body) {
  out += R"(,"body_b64":")";
  base64_append(out, body);
  out += '"';
}

void append_call(std::string& out, const HttpCall& call) {
  out += R"("http":{"method":)";
  append_json_string(out, call.method);
  out += R"(,"path":)";
  append_json_string(out, call.path);
  if (!call.handler.empty()) {
    out += R"(,"handler":)";
    append_json_string(out, call.handler);
  }
  out += R"(,"params":)";
  append_pairs(out, call.params);
  append_query(out, call.query);
  append_headers(out, call.headers);
  if (!call.body.empty()) append_body(out, call.body);
  out += '}';
}

// Nothing when `value` is empty.
void append_text_member(std::string& out, std::string_view member, std::string_view value) {
  if (value.empty()) return;
  out += member;
  append_json_string(out, value);
}

void append_call(std::string& out, const EventCall& call) {
  out += R"("event":{"topic":)";
  append_json_string(out, call.topic);
  out += R"(,"id":)";
  append_json_string(out, call.id);
  out += R"(,"payload":)";
  out += call.payload_json.empty() ? "null" : call.payload_json;
  append_text_member(out, R"(,"handler":)", call.handler);
  append_text_member(out, R"(,"source":)", call.source);
  if (call.attempt > 1) {
    out += R"(,"attempt":)";
    append_number(out, std::uint64_t{call.attempt});
  }
  out += '}';
}

void append_call(std::string& out, const ScheduleCall& call) {
  out += R"("schedule":{"id":)";
  append_json_string(out, call.id);
  append_text_member(out, R"(,"handler":)", call.handler);
  append_text_member(out, R"(,"scheduled_at":)", call.scheduled_at);
  if (!call.payload_json.empty()) {
    out += R"(,"payload":)";
    out += call.payload_json;
  }
  out += '}';
}

template <std::size_t N>
void append_hex(std::string& out, const std::array<std::uint8_t, N>& bytes, std::size_t from, std::size_t to) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (std::size_t i = from; i < to; ++i) {
    out += kDigits[bytes[i] >> 4];
    out += kDigits[bytes[i] & 15];
  }
}

// As Uuid::to_string, into `out`: five of them stand in every request.
void append_id(std::string& out, std::string_view member, const Uuid& id) {
  const auto& bytes = id.bytes();
  out += member;
  append_hex(out, bytes, 0, 4);
  for (std::size_t at = 4; at < 10; at += 2) {
    out += '-';
    append_hex(out, bytes, at, at + 2);
  }
  out += '-';
  append_hex(out, bytes, 10, 16);
}

void append_context(std::string& out, const ExecuteContext& context) {
  out += R"({"request_id":)";
  append_json_string(out, context.request_id);
  append_id(out, R"(,"tenant_id":")", context.tenant_id.uuid());
  append_id(out, R"(","extension_id":")", context.extension_id.uuid());
  append_id(out, R"(","install_id":")", context.install_id.uuid());
  out += R"(","content_hash":"sha256:)";
  append_hex(out, context.content_hash.bytes(), 0, 32);
  append_id(out, R"(","version_id":")", context.version_id.uuid());
  out += '"';
  if (!context.config_json.empty()) {
    out += R"(,"config":)";
    out += context.config_json;
  }
  if (!context.user_json.empty()) {
    out += R"(,"user":)";
    out += context.user_json;
  }
  if (!context.trace_parent.empty()) {
    out += R"(,"traceparent":)";
    append_json_string(out, context.trace_parent);
  }
  out += '}';
}

std::size_t size_hint(const ExecuteRequest& request) {
  std::size_t size = 1'024 + request.context.config_json.size() + request.context.user_json.size();
  if (const auto* http = std::get_if<HttpCall>(&request.call)) {
    size += http->body.size() / 3 * 4 + 4;
    for (const auto& [name, value] : http->headers) size += name.size() + value.size() + 6;
  } else if (const auto* event = std::get_if<EventCall>(&request.call)) {
    size += event->payload_json.size();
  } else if (const auto* schedule = std::get_if<ScheduleCall>(&request.call)) {
    size += schedule->payload_json.size();
  }
  return size;
}

}  // namespace

std::string serialize_execute_request(const ExecuteRequest& request) {
  std::string out;
  out.reserve(size_hint(request));
  out += R"({"context":)";
  append_context(out, request.context);
  out += ',';
  std::visit([&out](const auto& call) { append_call(out, call); }, request.call);
  out += R"(,"limits":{"timeout_ms":)";
  append_number(out, std::int64_t{request.limits.timeout.count()});
  out += R"(,"memory_mb":)";
  append_number(out, request.limits.memory.value >> 20);
  if (request.limits.fuel != 0) {
    out += R"(,"fuel":)";
    append_number(out, request.limits.fuel);
  }
  out += "}}";
  return out;
}

void append_guest_request(std::string& out, const ExecuteRequest& request) {
  out.reserve(out.size() + size_hint(request));
  out += R"({"context":)";
  append_context(out, request.context);
  out += ',';
  std::visit([&out](const auto& call) { append_call(out, call); }, request.call);
  out += '}';
}

void append_guest_context(std::string& out, const ExecuteContext& context) { append_context(out, context); }

}  // namespace bulkhead::protocol
