// Answers with JSON of the response's shape and an impossible status, header names and values that would split the
// framing, and a body that is no base64.
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request, (void)size;
  return REPLY_LITERAL(out,
                       "{\"status\":99999,\"headers\":{\"x-ext-a\\r\\nset-cookie\":\"a=b\",\"x-ext-b\":\"1\\r\\n2\"},"
                       "\"body_b64\":\"***\"}");
}
