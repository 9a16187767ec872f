// Reads far behind the end of its memory.
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request, (void)size;
  return reply(out, 0, *(volatile u8*)0xfffffff0u);
}
