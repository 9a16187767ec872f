// Sets, reads and deletes one key through the broker and answers what it read, or the number of the step that failed.
#include "guest.h"

IMPORT("alga", "storage.set") i32 storage_set(const void* request, u32 size, struct answer* out);
IMPORT("alga", "storage_get") i32 storage_get(const void* request, u32 size, struct answer* out);
IMPORT("alga", "storage.delete") i32 storage_delete(const void* request, u32 size, struct answer* out);

static const char set_request[] = "{\"key\":\"greeting\",\"value\":{\"text\":\"hello\"}}";
static const char key_request[] = "{\"key\":\"greeting\"}";

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  struct answer ignored, got = {0, 0};
  (void)request, (void)size;
  if (storage_set(set_request, sizeof set_request - 1, &ignored) != 0) return 1;
  if (storage_get(key_request, sizeof key_request - 1, &got) != 0) return 2;
  if (storage_delete(key_request, sizeof key_request - 1, &ignored) != 0) return 3;
  if (storage_get(key_request, sizeof key_request - 1, &ignored) != -3) return 4;
  return reply(out, got.data, got.size);
}
