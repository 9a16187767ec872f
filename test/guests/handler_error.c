// Returns 42: handler_error with the number.
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request, (void)size, (void)out;
  return 42;
}
