// Executes `unreachable`.
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request, (void)size, (void)out;
  __builtin_trap();
}
