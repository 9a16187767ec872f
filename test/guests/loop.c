// Never returns.
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request, (void)size, (void)out;
  for (volatile u32 i = 0;; ++i) {
  }
}
