// Calls env.abort with pointers that point nowhere: still an orderly trap.
#include "guest.h"

IMPORT("env", "abort") void env_abort(u32 message, u32 file, u32 line, u32 column);

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request, (void)size, (void)out;
  env_abort(0xfffffff0u, 2, 1, 1);
  return 0;
}
