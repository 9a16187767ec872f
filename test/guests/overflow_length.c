// Returns pointer + length = 2^32 + 16: a sum in 32 bits looks valid.
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)size;
  return reply(out, request, 16u - (u32)request);
}
