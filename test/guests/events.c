// Emits what it is told, and writes down what it is sent. POST /emit, /register and /cancel pass their body to the host
// call of that name and answer what it answered, or "code -N". An event or a schedule's firing becomes a log line. An
// event whose payload holds "fail" is refused with 500, one that holds "chain" emits itself again.
#include "guest.h"

IMPORT("alga", "log_info") void log_info(const void* text, u32 size);
IMPORT("alga", "events.emit") i32 events_emit(const void* request, u32 size, struct answer* out);
IMPORT("alga", "schedules.register") i32 schedules_register(const void* request, u32 size, struct answer* out);
IMPORT("alga", "schedules.cancel") i32 schedules_cancel(const void* request, u32 size, struct answer* out);

static const char chain_request[] = "{\"topic\":\"chain.link\",\"payload\":{\"chain\":true}}";

static u32 length_of(const char* text) {
  u32 size = 0;
  while (text[size]) ++size;
  return size;
}

// Where `wanted` ends in text, or 0.
static u32 after(const u8* text, u32 size, const char* wanted) {
  const u32 length = length_of(wanted);
  for (u32 at = 0; at + length <= size; ++at) {
    u32 same = 0;
    while (same < length && text[at + same] == (u8)wanted[same]) ++same;
    if (same == length) return at + length;
  }
  return 0;
}

static u32 digit_of(u8 c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26u;
  if (c >= '0' && c <= '9') return c - '0' + 52u;
  return c == '+' ? 62 : 63;
}

// The bytes of the base64 that begins at text, up to its closing quote.
static struct answer decoded(const u8* text) {
  u32 length = 0;
  while (text[length] != '"') ++length;
  u8* bytes = alloc(length + 4);
  u32 at = 0, bits = 0, count = 0;
  for (u32 i = 0; i < length && text[i] != '='; ++i) {
    bits = bits << 6 | digit_of(text[i]);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes[at++] = (u8)(bits >> count);
  }
  return (struct answer){bytes, at};
}

static i32 reply_code(struct answer* out, i32 code) {
  char* text = alloc(32);
  u32 at = append_text(text, 0, "code -");
  at = append_number(text, at, (u64)-code);
  return reply(out, text, at);
}

static i32 handle_event(const u8* request, u32 size, u32 event, struct answer* out) {
  log_info(request + event, size - event - 1);
  const u32 payload = event + after(request + event, size - event, "\"payload\":");
  if (after(request + payload, size - payload, "\"fail\"")) return REPLY_LITERAL(out, "{\"status\":500}");
  if (after(request + payload, size - payload, "\"chain\"")) {
    struct answer got;
    const i32 code = events_emit(chain_request, sizeof chain_request - 1, &got);
    if (code != 0) log_info("chain refused", 13);
  }
  return REPLY_LITERAL(out, "{\"status\":200}");
}

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  const u32 event = after(request, size, ",\"event\":");
  if (event) return handle_event(request, size, event, out);
  const u32 schedule = after(request, size, ",\"schedule\":");
  if (schedule) {
    log_info(request + schedule, size - schedule - 1);
    return REPLY_LITERAL(out, "{\"status\":200}");
  }
  const u32 body = after(request, size, "\"body_b64\":\"");
  if (!body) return REPLY_LITERAL(out, "no body");
  const struct answer asked = decoded(request + body);
  struct answer got = {0, 0};
  i32 code = -2;
  if (after(request, size, "\"path\":\"/emit\"")) code = events_emit(asked.data, asked.size, &got);
  if (after(request, size, "\"path\":\"/register\"")) code = schedules_register(asked.data, asked.size, &got);
  if (after(request, size, "\"path\":\"/cancel\"")) code = schedules_cancel(asked.data, asked.size, &got);
  if (code != 0) return reply_code(out, code);
  return reply(out, got.data, got.size);
}
