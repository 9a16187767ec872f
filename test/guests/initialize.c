// Has the optional exports _initialize (a reactor's constructor call) and dealloc; answers "initialized" only if
// _initialize ran before handler.
#include "guest.h"

static volatile u32 ready = 0;

EXPORT("_initialize") void initialize(void) { ready = 1; }
EXPORT("dealloc") void dealloc(void* block, u32 size) { (void)block, (void)size; }

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  (void)request, (void)size;
  if (!ready) return 1;
  return REPLY_LITERAL(out, "initialized");
}
