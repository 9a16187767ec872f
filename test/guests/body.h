// The body of a call, for guests that pass on what they are sent.
#pragma once

#include "guest.h"

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

struct body {
  u8* data;  // 0: the call has none
  u32 size;
};

static struct body body_of(const u8* request, u32 size) {
  const u8* const end = request + size;
  const u8* from = find_body(request, end);
  struct body body = {0, 0};
  if (!from) return body;
  body.data = alloc(size);
  u32 bits = 0, held = 0;
  for (i32 value; from < end && (value = sextet(*from)) >= 0; from++) {
    held = held << 6 | (u32)value;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    body.data[body.size++] = (u8)(held >> bits);
  }
  return body;
}

// "CODE\nRESPONSE" of a host call.
static inline i32 reply_outcome(struct answer* out, i32 code, struct answer got) {
  char* const text = alloc(got.size + 16);
  if (!text) return 2;
  u32 at = append_text(text, 0, code < 0 ? "-" : "");
  at = append_number(text, at, (u64)(code < 0 ? -code : code));
  text[at++] = '\n';
  __builtin_memcpy(text + at, got.data, got.size);
  return reply(out, text, at + got.size);
}
