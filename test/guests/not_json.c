// Answers with bytes that are no JSON at all (with a NUL and invalid UTF-8): 200 with the bytes as body.
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request, (void)size;
  return REPLY_LITERAL(out, "plain\0\xff\xfe text");
}
