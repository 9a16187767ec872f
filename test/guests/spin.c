// Works for the number of units in the path (`GET /20`; one unit is 2^20 steps, about a millisecond), then answers.
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  static const char key[] = "\"path\":\"/";
  u32 units = 0;
  for (u32 at = 0; at + sizeof(key) < size; ++at) {
    u32 same = 0;
    while (same < sizeof(key) - 1 && request[at + same] == (u8)key[same]) ++same;
    if (same != sizeof(key) - 1) continue;
    for (u32 digit = at + same; digit < size && request[digit] >= '0' && request[digit] <= '9'; ++digit)
      units = units * 10 + (u32)(request[digit] - '0');
    break;
  }
  volatile u32 sink = 0;
  for (u64 step = 0; step < (u64)units << 20; ++step) sink = sink + 1;
  return REPLY_LITERAL(out, "{\"status\":200}");
}
