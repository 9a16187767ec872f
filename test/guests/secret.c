// Passes the body's first line to secrets.get. A body of one line: answers the code and what came with it. Of two: the
// second goes to http.fetch with every '@' in it replaced by the handle that came, and that is answered.
#include "body.h"

IMPORT("alga", "secrets.get") i32 secrets_get(const void* request, u32 size, struct answer* out);
IMPORT("alga", "http.fetch") i32 http_fetch(const void* request, u32 size, struct answer* out);

#define HANDLE_SIZE 32

static const char* handle_in(const struct answer* got) {
  static const char start[] = "{\"handle\":\"";
  const u32 length = sizeof start - 1;
  const char* const text = got->data;
  if (got->size < length + HANDLE_SIZE) return 0;
  for (u32 i = 0; i < length; i++) {
    if (text[i] != start[i]) return 0;
  }
  return text + length;
}

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  const struct body body = body_of(request, size);
  if (!body.data) return 1;
  u32 line = 0;
  while (line < body.size && body.data[line] != '\n') line++;
  struct answer got = {0, 0};
  const i32 code = secrets_get(body.data, line, &got);
  if (line == body.size || code != 0) return reply_outcome(out, code, got);

  const char* const handle = handle_in(&got);
  if (!handle) return 3;
  char* const fetch = alloc((body.size - line) * HANDLE_SIZE);
  u32 at = 0;
  for (u32 i = line + 1; i < body.size; i++) {
    if (body.data[i] == '@') {
      __builtin_memcpy(fetch + at, handle, HANDLE_SIZE);
      at += HANDLE_SIZE;
    } else {
      fetch[at++] = (char)body.data[i];
    }
  }
  struct answer fetched = {0, 0};
  const i32 fetch_code = http_fetch(fetch, at, &fetched);
  return reply_outcome(out, fetch_code, fetched);
}
