// The definitions of bulkhead.h, second part: the request and its answer, the handler, the host calls.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bulkhead_implementation_json.h"

typedef bh_text bh_answer;  // what out_ptr points at: pointer and length, 8 bytes

BH_IMPORT("log_info") void bh_host_log_info(const char* text, uint32_t size);
BH_IMPORT("log_warn") void bh_host_log_warn(const char* text, uint32_t size);
BH_IMPORT("log_error") void bh_host_log_error(const char* text, uint32_t size);
BH_IMPORT("storage.get") int32_t bh_host_storage_get(const char* request, uint32_t size, bh_answer* out);
BH_IMPORT("storage.set") int32_t bh_host_storage_set(const char* request, uint32_t size, bh_answer* out);
BH_IMPORT("storage.delete") int32_t bh_host_storage_delete(const char* request, uint32_t size, bh_answer* out);
BH_IMPORT("storage.list") int32_t bh_host_storage_list(const char* request, uint32_t size, bh_answer* out);
BH_IMPORT("storage.bulk_put") int32_t bh_host_storage_bulk_put(const char* request, uint32_t size, bh_answer* out);
BH_IMPORT("context.get") int32_t bh_host_context_get(const char* request, uint32_t size, bh_answer* out);
BH_IMPORT("user.get") int32_t bh_host_user_get(const char* request, uint32_t size, bh_answer* out);
BH_IMPORT("http.fetch") int32_t bh_host_http_fetch(const char* request, uint32_t size, bh_answer* out);
BH_IMPORT("secrets.get") int32_t bh_host_secrets_get(const char* request, uint32_t size, bh_answer* out);
BH_IMPORT("events.emit") int32_t bh_host_events_emit(const char* request, uint32_t size, bh_answer* out);
BH_IMPORT("schedules.register") int32_t bh_host_schedules_register(const char* request, uint32_t size, bh_answer* out);
BH_IMPORT("schedules.cancel") int32_t bh_host_schedules_cancel(const char* request, uint32_t size, bh_answer* out);
BH_IMPORT("metrics.counter") int32_t bh_host_metrics_counter(const char* request, uint32_t size, bh_answer* out);
BH_IMPORT("metrics.gauge") int32_t bh_host_metrics_gauge(const char* request, uint32_t size, bh_answer* out);
BH_IMPORT("metrics.histogram") int32_t bh_host_metrics_histogram(const char* request, uint32_t size, bh_answer* out);

// ---- the call -----------------------------------------------------------------------------------------------------

static bh_text bh_member_string(bh_json object, bh_text name) {
  bh_text text = BH_NONE;
  bh_string(bh_member(object, name), &text);
  return text;
}

bh_text bh_param(const bh_request* request, bh_text name) {
  return bh_member_string(bh_member(request->http, BH_TEXT("params")), name);
}
bh_text bh_query(const bh_request* request, bh_text name) {
  return bh_member_string(bh_member(request->http, BH_TEXT("query")), name);
}
bh_text bh_header(const bh_request* request, bh_text name) {
  return bh_member_string(bh_member(request->http, BH_TEXT("headers")), name);
}
bool bh_body(const bh_request* request, bh_text* body) {
  bh_text encoded;
  return bh_string(bh_member(request->http, BH_TEXT("body_b64")), &encoded) && bh_unbase64(encoded, body);
}

void bh_set_header(bh_response* response, bh_text name, bh_text value) {
  bh_put_name(&response->headers, name);
  bh_put_string(&response->headers, value);
}

static int32_t bh_answer_typed(bh_response* response, int32_t status, bh_text type, bh_text body) {
  response->status = status;
  response->body = body;
  bh_set_header(response, BH_TEXT("content-type"), type);
  return 0;
}
int32_t bh_answer_json(bh_response* response, int32_t status, bh_json body) {
  return bh_answer_typed(response, status, BH_TEXT("application/json"), body);
}
int32_t bh_answer_text(bh_response* response, int32_t status, bh_text body) {
  return bh_answer_typed(response, status, BH_TEXT("text/plain; charset=utf-8"), body);
}
int32_t bh_answer_empty(bh_response* response, int32_t status) {
  response->status = status;
  return 0;
}
int32_t bh_answer_problem(bh_response* response, int32_t status, bh_text code, bh_text detail) {
  return bh_answer_problems(response, status, code, detail, BH_NONE);
}
int32_t bh_answer_problems(bh_response* response, int32_t status, bh_text code, bh_text detail, bh_json errors) {
  bh_writer writer = {0};
  bh_open_object(&writer);
  bh_put_name(&writer, BH_TEXT("status"));
  bh_put_integer(&writer, status);
  bh_put_name(&writer, BH_TEXT("code"));
  bh_put_string(&writer, code);
  bh_put_name(&writer, BH_TEXT("detail"));
  bh_put_string(&writer, detail);
  if (errors.size) {
    bh_put_name(&writer, BH_TEXT("errors"));
    bh_put_json(&writer, errors);
  }
  bh_close_object(&writer);
  return bh_answer_typed(response, status, BH_TEXT("application/problem+json"), bh_written(&writer));
}

BH_EXPORT("handler") int32_t bh_export_handler(const char* data, uint32_t size, bh_answer* out) {
  bh_request request = {0};
  if (!bh_parse((bh_text){data, size}, &request.document)) return 1;
  request.context = bh_member(request.document, BH_TEXT("context"));
  request.http = bh_member(request.document, BH_TEXT("http"));
  request.event = bh_member(request.document, BH_TEXT("event"));
  request.schedule = bh_member(request.document, BH_TEXT("schedule"));
  request.method = bh_member_string(request.http, BH_TEXT("method"));
  request.path = bh_member_string(request.http, BH_TEXT("path"));
  const bh_json reason = request.http.size ? request.http : request.event.size ? request.event : request.schedule;
  request.handler = bh_member_string(reason, BH_TEXT("handler"));

  bh_response response = {.status = 200};
  const int32_t failure = bh_handle(&request, &response);
  if (failure) return failure;

  bh_writer writer = {0};
  bh_open_object(&writer);
  bh_put_name(&writer, BH_TEXT("status"));
  bh_put_integer(&writer, response.status);
  bh_put_name(&writer, BH_TEXT("headers"));
  bh_open_object(&writer);
  bh_append(&writer, response.headers.data, response.headers.size);
  bh_close_object(&writer);
  if (response.body.size) {
    bh_put_name(&writer, BH_TEXT("body_b64"));
    bh_put_string(&writer, bh_base64(response.body));
  }
  bh_close_object(&writer);
  *out = bh_written(&writer);
  return 0;
}

// ---- the host -----------------------------------------------------------------------------------------------------

void bh_log_info(bh_text line) { bh_host_log_info(line.data, line.size); }
void bh_log_warn(bh_text line) { bh_host_log_warn(line.data, line.size); }
void bh_log_error(bh_text line) { bh_host_log_error(line.data, line.size); }

typedef int32_t bh_host_call(const char* request, uint32_t size, bh_answer* out);

static bh_text bh_refusal;

bh_text bh_last_error(void) { return bh_refusal; }

static bh_code bh_call(bh_host_call* call, bh_json request, bh_json* response) {
  bh_answer answer = BH_NONE;
  const int32_t code = call(request.data, request.size, &answer);
  const bool is_json = bh_parse(answer, response);
  if (code == BH_OK) return is_json ? BH_OK : BH_INTERNAL;
  bh_refusal = is_json ? bh_member_string(bh_member(*response, BH_TEXT("error")), BH_TEXT("message")) : BH_NONE;
  return (bh_code)code;
}

static void bh_put_member(bh_writer* writer, bh_text name, bh_text value) {
  if (!value.size) return;
  bh_put_name(writer, name);
  bh_put_string(writer, value);
}

static bh_writer bh_open_storage(bh_text space, bh_text key) {
  bh_writer writer = {0};
  bh_open_object(&writer);
  if (space.size) {
    bh_put_name(&writer, BH_TEXT("namespace"));
    bh_put_string(&writer, space);
  }
  if (key.size) {
    bh_put_name(&writer, BH_TEXT("key"));
    bh_put_string(&writer, key);
  }
  return writer;
}

static void bh_put_condition(bh_writer* writer, bh_condition condition) {
  if (condition.checked) {
    bh_put_name(writer, BH_TEXT("if_version"));
    bh_put_integer(writer, condition.version);
  }
  if (condition.ttl_seconds) {
    bh_put_name(writer, BH_TEXT("ttl_seconds"));
    bh_put_integer(writer, condition.ttl_seconds);
  }
}

bh_code bh_storage_get(bh_text space, bh_text key, bh_stored* out) {
  bh_writer writer = bh_open_storage(space, key);
  bh_close_object(&writer);
  bh_json response;
  const bh_code code = bh_call(bh_host_storage_get, bh_written(&writer), &response);
  if (code != BH_OK) return code;
  out->value = bh_member(response, BH_TEXT("value"));
  return bh_integer(bh_member(response, BH_TEXT("version")), &out->version) ? BH_OK : BH_INTERNAL;
}

bh_code bh_storage_set(bh_text space, bh_text key, bh_json value, bh_condition condition, int64_t* version) {
  bh_writer writer = bh_open_storage(space, key);
  bh_put_name(&writer, BH_TEXT("value"));
  bh_put_json(&writer, value);
  bh_put_condition(&writer, condition);
  bh_close_object(&writer);
  bh_json response;
  const bh_code code = bh_call(bh_host_storage_set, bh_written(&writer), &response);
  if (code != BH_OK || !version) return code;
  return bh_integer(bh_member(response, BH_TEXT("version")), version) ? BH_OK : BH_INTERNAL;
}

bh_code bh_storage_delete(bh_text space, bh_text key, bh_condition condition) {
  bh_writer writer = bh_open_storage(space, key);
  bh_put_condition(&writer, condition);
  bh_close_object(&writer);
  bh_json response;
  return bh_call(bh_host_storage_delete, bh_written(&writer), &response);
}

bh_code bh_storage_list(bh_text space, bh_text prefix, bh_text cursor, uint32_t limit, bh_json* page) {
  bh_writer writer = bh_open_storage(space, BH_NONE);
  if (prefix.size) {
    bh_put_name(&writer, BH_TEXT("prefix"));
    bh_put_string(&writer, prefix);
  }
  if (cursor.size) {
    bh_put_name(&writer, BH_TEXT("cursor"));
    bh_put_string(&writer, cursor);
  }
  if (limit) {
    bh_put_name(&writer, BH_TEXT("limit"));
    bh_put_integer(&writer, limit);
  }
  bh_close_object(&writer);
  return bh_call(bh_host_storage_list, bh_written(&writer), page);
}

bh_code bh_storage_bulk_put(bh_text space, bh_json items) {
  bh_writer writer = bh_open_storage(space, BH_NONE);
  bh_put_name(&writer, BH_TEXT("items"));
  bh_put_json(&writer, items);
  bh_close_object(&writer);
  bh_json response;
  return bh_call(bh_host_storage_bulk_put, bh_written(&writer), &response);
}

bh_code bh_context_get(bh_json* out) { return bh_call(bh_host_context_get, BH_TEXT("{}"), out); }
bh_code bh_user_get(bh_json* out) { return bh_call(bh_host_user_get, BH_TEXT("{}"), out); }

void bh_fetch_header(bh_fetch* fetch, bh_text name, bh_text value) {
  bh_put_name(&fetch->headers, name);
  bh_put_string(&fetch->headers, value);
}

void bh_fetch_secret_header(bh_fetch* fetch, bh_text name, bh_text prefix, bh_text handle) {
  bh_put_name(&fetch->headers, name);
  bh_open_object(&fetch->headers);
  bh_put_name(&fetch->headers, BH_TEXT("secret_handle"));
  bh_put_string(&fetch->headers, handle);
  bh_put_member(&fetch->headers, BH_TEXT("prefix"), prefix);
  bh_close_object(&fetch->headers);
}

bh_code bh_http_fetch(const bh_fetch* fetch, bh_fetched* out) {
  bh_writer writer = {0};
  bh_open_object(&writer);
  bh_put_name(&writer, BH_TEXT("url"));
  bh_put_string(&writer, fetch->url);
  bh_put_member(&writer, BH_TEXT("method"), fetch->method);
  if (fetch->headers.size) {
    bh_put_name(&writer, BH_TEXT("headers"));
    bh_open_object(&writer);
    bh_append(&writer, fetch->headers.data, fetch->headers.size);
    bh_close_object(&writer);
  }
  if (fetch->body.size) bh_put_member(&writer, BH_TEXT("body_b64"), bh_base64(fetch->body));
  if (fetch->timeout_ms) {
    bh_put_name(&writer, BH_TEXT("timeout_ms"));
    bh_put_integer(&writer, fetch->timeout_ms);
  }
  bh_put_member(&writer, BH_TEXT("redirect"), fetch->redirect);
  bh_close_object(&writer);
  bh_json response;
  const bh_code code = bh_call(bh_host_http_fetch, bh_written(&writer), &response);
  if (code != BH_OK) return code;
  int64_t status = 0;
  const bool has_status = bh_integer(bh_member(response, BH_TEXT("status")), &status);
  out->status = (int32_t)status;
  out->headers = bh_member(response, BH_TEXT("headers"));
  out->url = bh_member_string(response, BH_TEXT("url"));
  return has_status && bh_unbase64(bh_member_string(response, BH_TEXT("body_b64")), &out->body) ? BH_OK : BH_INTERNAL;
}

bh_text bh_fetched_header(const bh_fetched* fetched, bh_text name) { return bh_member_string(fetched->headers, name); }

static bh_code bh_secret(bh_text key, bool handle, bh_text* out) {
  bh_writer writer = {0};
  bh_open_object(&writer);
  bh_put_name(&writer, BH_TEXT("key"));
  bh_put_string(&writer, key);
  if (handle) {
    bh_put_name(&writer, BH_TEXT("handle"));
    bh_put_boolean(&writer, true);
  }
  bh_close_object(&writer);
  bh_json response;
  const bh_code code = bh_call(bh_host_secrets_get, bh_written(&writer), &response);
  if (code != BH_OK) return code;
  return bh_string(bh_member(response, handle ? BH_TEXT("handle") : BH_TEXT("value")), out) ? BH_OK : BH_INTERNAL;
}

bh_code bh_secrets_get(bh_text key, bh_text* value) { return bh_secret(key, false, value); }
bh_code bh_secrets_handle(bh_text key, bh_text* handle) { return bh_secret(key, true, handle); }

bh_code bh_events_emit(bh_text topic, bh_json payload, bh_text id, bh_text* emitted) {
  bh_writer writer = {0};
  bh_open_object(&writer);
  bh_put_name(&writer, BH_TEXT("topic"));
  bh_put_string(&writer, topic);
  bh_put_name(&writer, BH_TEXT("payload"));
  bh_put_json(&writer, payload);
  bh_put_member(&writer, BH_TEXT("id"), id);
  bh_close_object(&writer);
  bh_json response;
  const bh_code code = bh_call(bh_host_events_emit, bh_written(&writer), &response);
  if (code == BH_OK && emitted) *emitted = bh_member_string(response, BH_TEXT("id"));
  return code;
}

bh_code bh_schedules_register(const bh_schedule* schedule, bh_text* next_at) {
  bh_writer writer = {0};
  bh_open_object(&writer);
  bh_put_name(&writer, BH_TEXT("id"));
  bh_put_string(&writer, schedule->id);
  bh_put_name(&writer, BH_TEXT("cron"));
  bh_put_string(&writer, schedule->cron);
  bh_put_member(&writer, BH_TEXT("handler"), schedule->handler);
  bh_put_member(&writer, BH_TEXT("timezone"), schedule->timezone);
  if (schedule->payload.size) {
    bh_put_name(&writer, BH_TEXT("payload"));
    bh_put_json(&writer, schedule->payload);
  }
  bh_close_object(&writer);
  bh_json response;
  const bh_code code = bh_call(bh_host_schedules_register, bh_written(&writer), &response);
  if (code == BH_OK && next_at) *next_at = bh_member_string(response, BH_TEXT("next_at"));
  return code;
}

bh_code bh_schedules_cancel(bh_text id) {
  bh_writer writer = {0};
  bh_open_object(&writer);
  bh_put_name(&writer, BH_TEXT("id"));
  bh_put_string(&writer, id);
  bh_close_object(&writer);
  bh_json response;
  return bh_call(bh_host_schedules_cancel, bh_written(&writer), &response);
}

static bh_code bh_metric(bh_host_call* call, bh_text name, double value, bh_json labels) {
  bh_writer writer = {0};
  bh_open_object(&writer);
  bh_put_name(&writer, BH_TEXT("name"));
  bh_put_string(&writer, name);
  bh_put_name(&writer, BH_TEXT("value"));
  bh_put_number(&writer, value);
  if (labels.size) {
    bh_put_name(&writer, BH_TEXT("labels"));
    bh_put_json(&writer, labels);
  }
  bh_close_object(&writer);
  bh_json response;
  return bh_call(call, bh_written(&writer), &response);
}

bh_code bh_metrics_counter(bh_text name, double value, bh_json labels) {
  return bh_metric(bh_host_metrics_counter, name, value, labels);
}
bh_code bh_metrics_gauge(bh_text name, double value, bh_json labels) {
  return bh_metric(bh_host_metrics_gauge, name, value, labels);
}
bh_code bh_metrics_histogram(bh_text name, double value, bh_json labels) {
  return bh_metric(bh_host_metrics_histogram, name, value, labels);
}
