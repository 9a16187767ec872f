// Imports a known host function with a type that isn't the ABI's.
#include "guest.h"

IMPORT("alga", "storage.get") u64 storage_get(u64 request);

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request;
  return reply(out, 0, (u32)storage_get(size));
}
