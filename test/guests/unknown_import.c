// Imports a function that no host has: refused at publish, by name (alga.teleport).
#include "guest.h"

IMPORT("alga", "teleport") i32 teleport(const void* request, u32 size, struct answer* out);

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) { return teleport(request, size, out); }
