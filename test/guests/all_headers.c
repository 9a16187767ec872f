// Answers with every kind of response header: those that may pass and those that must be dropped.
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request, (void)size;
  return REPLY_LITERAL(out,
                       "{\"status\":201,\"headers\":{\"content-type\":\"text/html\",\"set-cookie\":\"a=b\","
                       "\"x-ext-note\":\"kept\",\"location\":\"//evil.example/\",\"etag\":\"\\\"1\\\"\","
                       "\"cache-control\":\"public, max-age=60\",\"connection\":\"close\","
                       "\"transfer-encoding\":\"chunked\",\"content-length\":\"5\",\"x-other\":\"dropped\","
                       "\"content-security-policy\":\"default-src *\"},\"body_b64\":\"PGI+aGk8L2I+\"}");
}
