// One line of each level (the names with a dot and with an underscore are the same), then an answer.
#include "guest.h"

IMPORT("alga", "log_info") void log_info(const void* text, u32 size);
IMPORT("alga", "log.warn") void log_warn(const void* text, u32 size);
IMPORT("alga", "log_error") void log_error(const void* text, u32 size);

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request, (void)size;
  log_info("an info line", 12);
  log_warn("a warning", 9);
  log_error("an error\nin two lines", 21);
  return REPLY_LITERAL(out, "{\"status\":200}");
}
