// Lacks `alloc`: abi_missing_export.
#define GUEST_WITHOUT_ALLOC
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) { return reply(out, request, size); }
