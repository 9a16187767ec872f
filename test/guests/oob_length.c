// Returns a valid response pointer and a length that ends one byte behind its memory.
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)size;
  return reply(out, request, ((u32)__builtin_wasm_memory_size(0) << 16) - (u32)request + 1);
}
