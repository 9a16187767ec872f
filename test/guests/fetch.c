// Passes the call's body to http.fetch as its request, and answers the code and what came with it: "0\n{…}", "-1\n{…}".
#include "body.h"

IMPORT("alga", "http_fetch") i32 http_fetch(const void* request, u32 size, struct answer* out);

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  const struct body body = body_of(request, size);
  if (!body.data) return 1;
  struct answer got = {0, 0};
  const i32 code = http_fetch(body.data, body.size, &got);
  return reply_outcome(out, code, got);
}
