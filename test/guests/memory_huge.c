// Declares 2 GiB of initial memory: more than any call may have.
// guest-flags: -Wl,--initial-memory=2147483648
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) { return reply(out, request, size); }
