// Counts, sets and observes, then makes more series than it may; answers with the code of the last call.
#include "guest.h"

IMPORT("alga", "metrics.counter") i32 counter(const void* request, u32 size, struct answer* out);
IMPORT("alga", "metrics_gauge") i32 gauge(const void* request, u32 size, struct answer* out);
IMPORT("alga", "metrics.histogram") i32 histogram(const void* request, u32 size, struct answer* out);

static const char count_request[] = "{\"name\":\"orders\",\"labels\":{\"tier\":\"gold\"}}";
static const char set_request[] = "{\"name\":\"depth\",\"value\":-1.5}";
static const char observe_request[] = "{\"name\":\"took\",\"value\":0.02}";
static char many_request[] = "{\"name\":\"many_000\"}";

EXPORT("handler") i32 handler(const u8* request, u32 size, struct answer* out) {
  struct answer ignored;
  (void)request, (void)size;
  if (counter(count_request, sizeof count_request - 1, &ignored) != 0) return 1;
  if (gauge(set_request, sizeof set_request - 1, &ignored) != 0) return 2;
  if (histogram(observe_request, sizeof observe_request - 1, &ignored) != 0) return 3;
  if (counter(set_request, sizeof set_request - 1, &ignored) != -2) return 4;
  i32 last = 0;
  for (int i = 0; i < 120; ++i) {
    many_request[14] = (char)('0' + i / 100);
    many_request[15] = (char)('0' + i / 10 % 10);
    many_request[16] = (char)('0' + i % 10);
    last = counter(many_request, sizeof many_request - 1, &ignored);
  }
  return last == -8 ? reply(out, "capped", 6) : 5;
}
