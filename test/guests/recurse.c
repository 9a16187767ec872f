// Recurses until the wasm stack is gone.
// guest-flags: -Wno-infinite-recursion
#include "guest.h"

__attribute__((noinline)) static u32 deeper(u32 depth) {
  volatile u32 kept = depth;
  return deeper(kept + 1) + kept;
}

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request;
  return reply(out, 0, deeper(size));
}
