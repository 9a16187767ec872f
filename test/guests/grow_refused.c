// Grows its memory until it is refused, keeps its head and answers with the number of pages it got.
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  static char text[64];
  (void)request, (void)size;
  while (__builtin_wasm_memory_grow(0, 16) != (u32)-1) {
  }
  while (__builtin_wasm_memory_grow(0, 1) != (u32)-1) {
  }
  u32 end = append_text(text, 0, "pages=");
  end = append_number(text, end, __builtin_wasm_memory_size(0));
  return reply(out, text, end);
}
