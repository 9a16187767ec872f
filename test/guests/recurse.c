// Recurses until the wasm stack is gone: a trap. The frames hold registers only, so the guest's own stack in linear
// memory isn't what runs out.
#include "guest.h"

static u32 deeper(u32 depth);
static u32 (*volatile next)(u32) = deeper;

static u32 deeper(u32 depth) { return next(depth + 1) ^ (depth * 7); }

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request;
  return reply(out, 0, next(size));
}
