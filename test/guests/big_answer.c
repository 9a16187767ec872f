// Answers 100 MB.
#include "guest.h"

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  const u32 answer_size = 100u * 1000 * 1000;
  (void)request, (void)size;
  u8* block = alloc(answer_size);
  if (!block) return 1;
  __builtin_memset(block, 'x', answer_size);
  return reply(out, block, answer_size);
}
