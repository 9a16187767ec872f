// Looks for a byte that isn't zero in the memory it was given (behind its own data and stack), answers "clean" or
// "dirty", and leaves a canary everywhere. Run again and again it proves that no instance sees another one's memory.
// guest-flags: -Wl,--initial-memory=1048576
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  // The request lies at the start of the heap: everything from its end on was never written by this instance.
  u8* from = (u8*)(((u32)request + size + 63) & ~63u);
  u8* end = (u8*)(__builtin_wasm_memory_size(0) << 16);
  u64 seen = 0;
  for (u64* word = (u64*)from; (u8*)word < end; ++word) seen |= *word;
  __builtin_memset(from, 0xa5, (u32)(end - from));
  // Grown pages must be clean as well.
  const u32 page = __builtin_wasm_memory_grow(0, 4);
  if (page != (u32)-1) {
    u8* grown = (u8*)(page << 16);
    for (u64* word = (u64*)grown; (u8*)word < grown + 4 * 65536; ++word) seen |= *word;
    __builtin_memset(grown, 0x5a, 4 * 65536);
  }
  if (seen) return REPLY_LITERAL(out, "dirty");
  return REPLY_LITERAL(out, "clean");
}
