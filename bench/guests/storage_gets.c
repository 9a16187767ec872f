// Host calls in numbers: the endpoint's handler says what a call does. "prepare" stores a key, "none" makes no host
// call and "many" reads the key CALLS times through the broker; both answer alike, so their difference is the host
// calls.
#include "../../test/guests/guest.h"

IMPORT("alga", "storage.set") i32 storage_set(const void* request, u32 size, struct answer* out);
IMPORT("alga", "storage.get") i32 storage_get(const void* request, u32 size, struct answer* out);

static const char set_request[] = "{\"key\":\"k\",\"value\":\"a value of some length\"}";
static const char get_request[] = "{\"key\":\"k\"}";

// First letter of the handler's name.
static u8 handler_of(const u8* at, const u8* end) {
  static const char name[] = "\"handler\":\"";
  const u32 length = sizeof name - 1;
  for (; at + length < end; at++) {
    u32 same = 0;
    while (same < length && at[same] == (u8)name[same]) same++;
    if (same == length) return at[length];
  }
  return 0;
}

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  struct answer got = {0, 0};
  u32 calls = 0;
  switch (handler_of(request, request + size)) {
    case 'p':
      if (storage_set(set_request, sizeof set_request - 1, &got) != 0) return 1;
      break;
    case 'm':
      calls = CALLS;
      break;
    case 'n':
      break;
    default:
      return 2;
  }
  for (u32 i = 0; i < calls; i++) {
    if (storage_get(get_request, sizeof get_request - 1, &got) != 0) return 3;
  }
  return REPLY_LITERAL(out, "{\"status\":200,\"headers\":{},\"body_b64\":\"b2s=\"}");
}
