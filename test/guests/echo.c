// Answers with the request's own bytes. They are JSON but not a response, so the caller gets them as a 200 body.
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) { return reply(out, request, size); }
