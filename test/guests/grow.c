// Grows its memory to the limit one page at a time, touches each page, then traps: a call that ran out of memory.
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request, (void)size, (void)out;
  for (;;) {
    const u32 page = __builtin_wasm_memory_grow(0, 1);
    if (page == (u32)-1) __builtin_trap();
    *(volatile u8*)(page << 16) = 1;
  }
}
