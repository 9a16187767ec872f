// Calls env.abort as AssemblyScript's runtime does: a trap whose message is "index out of range" at main.ts:12:34.
#include "guest.h"

IMPORT("env", "abort") void env_abort(const void* message, const void* file, u32 line, u32 column);

// An AssemblyScript string: UTF-16 units behind a header whose last word is the size in bytes.
struct text {
  u32 size;
  unsigned short units[24];
};

static const struct text message = {36, u"index out of range"};
static const struct text file = {14, u"main.ts"};

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request, (void)size, (void)out;
  env_abort(message.units, file.units, 12, 34);
  return 0;
}
