// Logs 1 KiB a thousand times: more than a call may.
#include "guest.h"

IMPORT("alga", "log_info") void log_info(const void* text, u32 size);

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  static u8 line[1024];
  (void)request, (void)size;
  __builtin_memset(line, 'l', sizeof line);
  for (u32 i = 0; i < 1000; ++i) log_info(line, sizeof line);
  return REPLY_LITERAL(out, "{\"status\":200}");
}
