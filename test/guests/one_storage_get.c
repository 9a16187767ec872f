// One storage.get of the key "k" and its answer as the body; the cost of a host call is measured on it.
#include "guest.h"

IMPORT("alga", "storage.get") i32 storage_get(const void* request, u32 size, struct answer* out);

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  struct answer got = {0, 0};
  (void)request, (void)size;
  const i32 code = storage_get("{\"key\":\"k\"}", 11, &got);
  return code ? -code : reply(out, got.data, got.size);
}
