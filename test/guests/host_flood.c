// Calls context.get 2,000 times and answers with how many calls returned 0.
#include "guest.h"

IMPORT("alga", "context.get") i32 context_get(const void* request, u32 size, struct answer* out);

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  static char text[16];
  (void)request, (void)size;
  u32 ok = 0;
  for (u32 i = 0; i < 2000; ++i) {
    struct answer got = {0, 0};
    if (context_get("{}", 2, &got) == 0) ++ok;
  }
  return reply(out, text, append_number(text, 0, ok));
}
