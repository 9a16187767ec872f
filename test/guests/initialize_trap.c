// Traps in _initialize.
#include "guest.h"

EXPORT("_initialize") void initialize(void) { __builtin_trap(); }

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) { return reply(out, request, size); }
