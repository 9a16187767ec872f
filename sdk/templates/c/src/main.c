// Counts visits by name in the install's own store. The endpoints are in manifest.json, the tests in tests/.
#define BULKHEAD_IMPLEMENTATION
#include "bulkhead.h"

static int32_t answer_visits(bh_response* response, bh_text name, int64_t visits) {
  bh_writer writer = {0};
  bh_open_object(&writer);
  bh_put_name(&writer, BH_TEXT("name"));
  bh_put_string(&writer, name);
  bh_put_name(&writer, BH_TEXT("visits"));
  bh_put_integer(&writer, visits);
  bh_close_object(&writer);
  return bh_answer_json(response, 200, bh_written(&writer));
}

static int32_t answer_failure(bh_response* response, bh_code code) {
  bh_log_error(bh_concat(BH_TEXT("storage failed with code "), bh_decimal(code)));
  return bh_answer_problem(response, 503, BH_TEXT("storage_failed"), BH_TEXT("Try again in a moment."));
}

// Writes on condition of the version that was read: of two visits at once, one is refused and counts again.
static int32_t count(bh_response* response, bh_text name) {
  for (;;) {
    bh_stored stored = {0};
    int64_t visits = 0;
    const bh_code read = bh_storage_get(BH_NONE, name, &stored);
    if (read != BH_OK && read != BH_NOT_FOUND) return answer_failure(response, read);
    bh_integer(stored.value, &visits);
    const bh_condition unchanged = {.checked = true, .version = stored.version};
    const bh_code written = bh_storage_set(BH_NONE, name, bh_decimal(visits + 1), unchanged, 0);
    if (written == BH_CONFLICT) continue;
    if (written != BH_OK) return answer_failure(response, written);
    bh_log_info(bh_concat(BH_TEXT("a visit by "), name));
    return answer_visits(response, name, visits + 1);
  }
}

int32_t bh_handle(const bh_request* request, bh_response* response) {
  const bh_text name = bh_param(request, BH_TEXT("name"));
  if (bh_equal(request->handler, BH_TEXT("count"))) return count(response, name);
  bh_stored stored = {0};
  int64_t visits = 0;
  const bh_code code = bh_storage_get(BH_NONE, name, &stored);
  if (code != BH_OK && code != BH_NOT_FOUND) return answer_failure(response, code);
  bh_integer(stored.value, &visits);
  return answer_visits(response, name, visits);
}
