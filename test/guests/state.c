// Counts its calls in a global. Every answer is "1", because no instance lives for two calls.
#include "guest.h"

static volatile u32 calls = 0;

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  static char text[16];
  (void)request, (void)size;
  calls = calls + 1;
  return reply(out, text, append_number(text, 0, calls));
}
