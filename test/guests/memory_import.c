// Imports its memory: an unknown import (env.memory).
// guest-flags: -Wl,--import-memory
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) { return reply(out, request, size); }
