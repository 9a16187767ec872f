// Gives host functions pointers and lengths outside its memory and answers with their codes (all must be -2).
#include "guest.h"

IMPORT("alga", "storage.get") i32 storage_get(u32 request, u32 size, u32 out);

static u32 append_code(char* text, u32 at, i32 code) {
  if (code < 0) text[at++] = '-';
  at = append_number(text, at, (u32)(code < 0 ? -code : code));
  text[at++] = ' ';
  return at;
}

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  static char text[64];
  static const char valid[] = "{\"key\":\"a\"}";
  (void)request, (void)size;
  u32 end = append_code(text, 0, storage_get(0xfffffff0u, 16, (u32)out));
  end = append_code(text, end, storage_get((u32)valid, 0u - (u32)valid + 8, (u32)out));
  end = append_code(text, end, storage_get((u32)valid, sizeof valid - 1, 0xfffffffcu));
  return reply(out, text, end - 1);
}
