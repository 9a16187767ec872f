// Loops in _initialize: the limits hold there as well.
#include "guest.h"

EXPORT("_initialize") void initialize(void) {
  for (volatile u32 i = 0;; ++i) {
  }
}

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) { return reply(out, request, size); }
