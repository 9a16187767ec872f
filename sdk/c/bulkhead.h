// Bulkhead extensions in C: guest ABI v1 for freestanding wasm32 (clang --target=wasm32 -nostdlib).
//
// Write `int32_t bh_handle(const bh_request* request, bh_response* response)` and, in exactly one source file,
//   #define BULKHEAD_IMPLEMENTATION
//   #include "bulkhead.h"
// which also exports `alloc` and `handler`. That file is C; C++ uses bulkhead.hpp beside it. bh_handle returns 0, or a
// number that the caller sees as handler_error.
//
// An instance lives for one call, so memory is only ever taken, never given back. When none is left the call traps.
// Text is UTF-8 with a length and no terminating zero. A bh_json is a piece of valid JSON text inside a larger one;
// reading from an absent or differently shaped piece gives an absent one (size 0) or false, so look-ups can be chained.
// SPDX-License-Identifier: Apache-2.0
#ifndef BULKHEAD_H
#define BULKHEAD_H

#include <stdbool.h>
#include <stdint.h>

typedef struct bh_text {
  const char* data;
  uint32_t size;
} bh_text;
typedef bh_text bh_json;

#ifdef __cplusplus
#define BH_TEXT(literal) (bh_text{(literal), sizeof(literal) - 1})
#define BH_NONE (bh_text{nullptr, 0})
extern "C" {
#else
#define BH_TEXT(literal) ((bh_text){(literal), sizeof(literal) - 1})
#define BH_NONE ((bh_text){0, 0})
#endif

// Results of host calls (extensions contract §3). A missing grant is an answer, never a trap.
typedef enum bh_code {
  BH_OK = 0,
  BH_DENIED = -1,
  BH_INVALID = -2,
  BH_NOT_FOUND = -3,
  BH_CONFLICT = -4,
  BH_TOO_LARGE = -5,
  BH_TIMEOUT = -6,
  BH_INTERNAL = -7,
  BH_QUOTA = -8,
} bh_code;

// ---- memory and text ----------------------------------------------------------------------------------------------

void* bh_alloc(uint32_t size);  // 16-byte aligned
bool bh_equal(bh_text a, bh_text b);
bh_text bh_concat(bh_text a, bh_text b);
bh_text bh_decimal(int64_t value);
bh_text bh_base64(bh_text bytes);
bool bh_unbase64(bh_text text, bh_text* bytes);  // false if it is not padded standard base64

// ---- reading JSON -------------------------------------------------------------------------------------------------

typedef enum bh_kind { BH_ABSENT, BH_NULL, BH_BOOLEAN, BH_NUMBER, BH_STRING, BH_ARRAY, BH_OBJECT } bh_kind;

// Checks the whole of text (at most 64 levels deep). Only what came out of here or out of a host call is a bh_json.
bool bh_parse(bh_text text, bh_json* value);
bh_kind bh_kind_of(bh_json value);
bh_json bh_member(bh_json object, bh_text name);
bool bh_string(bh_json value, bh_text* out);   // decodes escapes
bool bh_integer(bh_json value, int64_t* out);  // numbers without fraction and exponent that fit
bool bh_boolean(bh_json value, bool* out);

// Walks over an array's elements or an object's members:
//   for (bh_iterator i = bh_iterate(value); bh_next(&i);) use(i.name, i.value);
typedef struct bh_iterator {
  bh_text name;  // of an object's member, decoded
  bh_json value;
  bh_text rest;
  bh_kind kind;
} bh_iterator;
bh_iterator bh_iterate(bh_json container);
bool bh_next(bh_iterator* iterator);

// ---- writing JSON -------------------------------------------------------------------------------------------------

// Start with `bh_writer w = {0};`. Commas are set by the writer.
typedef struct bh_writer {
  char* data;
  uint32_t size, capacity;
} bh_writer;
void bh_open_object(bh_writer* writer);
void bh_close_object(bh_writer* writer);
void bh_open_array(bh_writer* writer);
void bh_close_array(bh_writer* writer);
void bh_put_name(bh_writer* writer, bh_text name);
void bh_put_string(bh_writer* writer, bh_text value);
void bh_put_integer(bh_writer* writer, int64_t value);
void bh_put_number(bh_writer* writer, double value);  // null if it is no finite number
void bh_put_boolean(bh_writer* writer, bool value);
void bh_put_json(bh_writer* writer, bh_json value);  // null if absent
bh_json bh_written(const bh_writer* writer);

// ---- the call -----------------------------------------------------------------------------------------------------

typedef struct bh_request {
  bh_json document;               // all of it: {"context":{…},"http":{…}}
  bh_json context;                // request_id, tenant_id, install_id, config, user, …
  bh_json http, event, schedule;  // exactly one is there
  bh_text method, path;           // of http
  bh_text handler;                // the manifest's, of the endpoint, subscription or schedule
} bh_request;

bh_text bh_param(const bh_request* request, bh_text name);   // a path parameter, decoded
bh_text bh_query(const bh_request* request, bh_text name);   // the last value of a query key
bh_text bh_header(const bh_request* request, bh_text name);  // name in lower case
bool bh_body(const bh_request* request, bh_text* body);      // false if there is none

typedef struct bh_response {
  int32_t status;  // 200 unless set
  bh_text body;
  bh_writer headers;  // by bh_set_header
} bh_response;

void bh_set_header(bh_response* response, bh_text name, bh_text value);
// Each returns 0, so that a handler can end with `return bh_answer_…(…)`.
int32_t bh_answer_json(bh_response* response, int32_t status, bh_json body);
int32_t bh_answer_text(bh_response* response, int32_t status, bh_text body);
int32_t bh_answer_empty(bh_response* response, int32_t status);
// RFC 9457 problem document; errors is absent, or [{"pointer","message"}].
int32_t bh_answer_problem(bh_response* response, int32_t status, bh_text code, bh_text detail);
int32_t bh_answer_problems(bh_response* response, int32_t status, bh_text code, bh_text detail, bh_json errors);

int32_t bh_handle(const bh_request* request, bh_response* response);  // yours

// ---- the host -----------------------------------------------------------------------------------------------------

void bh_log_info(bh_text line);
void bh_log_warn(bh_text line);
void bh_log_error(bh_text line);

// The install's own key-value store (capability storage.kv). The shapes are api/abi/storage.*.json. `space` separates
// keys of different kinds; BH_NONE is the default one.
typedef struct bh_stored {
  bh_json value;
  int64_t version;
} bh_stored;
typedef struct bh_condition {
  bool checked;         // false: write whatever is there
  int64_t version;      // the version that the key must have; 0: it must not exist
  int64_t ttl_seconds;  // 0: the key stays
} bh_condition;
bh_code bh_storage_get(bh_text space, bh_text key, bh_stored* out);
bh_code bh_storage_set(bh_text space, bh_text key, bh_json value, bh_condition condition, int64_t* version);
bh_code bh_storage_delete(bh_text space, bh_text key, bh_condition condition);
// page: {"items":[{"key","version"}],"cursor"?}. limit 0 is the host's default (100).
bh_code bh_storage_list(bh_text space, bh_text prefix, bh_text cursor, uint32_t limit, bh_json* page);
bh_code bh_storage_bulk_put(bh_text space, bh_json items);  // [{"key","value"}], all or none

bh_code bh_context_get(bh_json* out);  // capability context.read
bh_code bh_user_get(bh_json* out);     // capability user.read; BH_NOT_FOUND where nobody is behind the call

// HTTP to the hosts that the manifest names and the install grants (capability http.fetch):
//   bh_fetch fetch = {.method = BH_TEXT("POST"), .url = BH_TEXT("https://api.example.com/orders"), .body = order};
//   bh_fetch_header(&fetch, BH_TEXT("content-type"), BH_TEXT("application/json"));
typedef struct bh_fetch {
  bh_text method;  // BH_NONE is GET
  bh_text url;
  bh_text body;
  uint32_t timeout_ms;  // 0: until the deadline of the call
  bh_text redirect;     // "follow" unless set, "manual" or "error"
  bh_writer headers;    // by bh_fetch_header
} bh_fetch;
typedef struct bh_fetched {
  int32_t status;
  bh_json headers;  // by bh_fetched_header
  bh_text body;
  bh_text url;  // where the answer came from, after redirects
} bh_fetched;
void bh_fetch_header(bh_fetch* fetch, bh_text name, bh_text value);
// The host puts prefix and the secret's value in: it never enters the guest. handle is of bh_secrets_handle.
void bh_fetch_secret_header(bh_fetch* fetch, bh_text name, bh_text prefix, bh_text handle);
bh_code bh_http_fetch(const bh_fetch* fetch, bh_fetched* out);       // an answer of any status is BH_OK
bh_text bh_fetched_header(const bh_fetched* fetched, bh_text name);  // name in lower case

// The install's secrets, named in the manifest (capability secrets.get). BH_NOT_FOUND: it is not set.
bh_code bh_secrets_get(bh_text key, bh_text* value);
bh_code bh_secrets_handle(bh_text key, bh_text* handle);  // for bh_fetch_secret_header, within this call

// Publishes an event (capability events.emit). id is BH_NONE, or a deduplication key; emitted may be 0.
bh_code bh_events_emit(bh_text topic, bh_json payload, bh_text id, bh_text* emitted);

// Schedules of the install, beside those of the manifest (capability schedules).
typedef struct bh_schedule {
  bh_text id;
  bh_text cron;      // minute hour day month weekday
  bh_text handler;   // given back in the call, as is payload
  bh_text timezone;  // an IANA name; BH_NONE is UTC
  bh_json payload;
} bh_schedule;
bh_code bh_schedules_register(const bh_schedule* schedule, bh_text* next_at);  // replaces one of the same id
bh_code bh_schedules_cancel(bh_text id);

// The extension's own metrics (capability metrics.emit). labels is BH_NONE or an object of texts; each combination is a
// series of its own and their number is limited: never put ids into them.
bh_code bh_metrics_counter(bh_text name, double value, bh_json labels);
bh_code bh_metrics_gauge(bh_text name, double value, bh_json labels);
bh_code bh_metrics_histogram(bh_text name, double value, bh_json labels);

// Why the last call that was refused was refused, in words for a log; may be empty.
bh_text bh_last_error(void);

#ifdef BULKHEAD_IMPLEMENTATION
#include "bulkhead_implementation_host.h"
#endif
#ifdef __cplusplus
}
#endif
#endif  // BULKHEAD_H
