// alloc refuses every request with a null pointer.
#define GUEST_WITHOUT_ALLOC
#include "guest.h"

EXPORT("alloc") void* alloc(u32 size) {
  (void)size;
  return 0;
}

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) { return reply(out, request, size); }
