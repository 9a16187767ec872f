// Exports its memory under another name: abi_missing_export.
// guest-flags: -Wl,--export-memory=other
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) { return reply(out, request, size); }
