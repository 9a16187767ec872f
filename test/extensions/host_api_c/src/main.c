// Makes every host call that needs a grant, with the grants, and answers with the names of the checks that failed.
#define BULKHEAD_IMPLEMENTATION
#include "bulkhead.h"

static bh_writer failed;

static void check(bool holds, bh_text name) {
  if (!holds) bh_put_string(&failed, bh_concat(bh_concat(name, BH_TEXT(": ")), bh_last_error()));
}

#define CHECK(condition) check((condition), BH_TEXT(#condition))

static void check_events_and_schedules(void) {
  bh_text id = BH_NONE, next_at = BH_NONE;
  CHECK(bh_events_emit(BH_TEXT("checks.made"), BH_TEXT("{\"n\":1}"), BH_NONE, &id) == BH_OK && id.size != 0);
  CHECK(bh_events_emit(BH_TEXT("checks.made"), BH_TEXT("1"), BH_TEXT("own"), &id) == BH_OK);
  CHECK(bh_equal(id, BH_TEXT("own")));
  CHECK(bh_events_emit(BH_TEXT("Not a topic"), BH_TEXT("1"), BH_NONE, &id) == BH_INVALID);
  const bh_schedule schedule = {.id = BH_TEXT("report"),
                                .cron = BH_TEXT("0 3 * * *"),
                                .handler = BH_TEXT("report"),
                                .timezone = BH_TEXT("Europe/Berlin"),
                                .payload = BH_TEXT("[1]")};
  CHECK(bh_schedules_register(&schedule, &next_at) == BH_OK && next_at.size >= 20);
  CHECK(bh_schedules_register(&schedule, 0) == BH_OK);
  CHECK(bh_schedules_cancel(BH_TEXT("report")) == BH_OK);
  CHECK(bh_schedules_cancel(BH_TEXT("report")) == BH_NOT_FOUND);
  const bh_schedule wrong = {.id = BH_TEXT("wrong"), .cron = BH_TEXT("every day")};
  CHECK(bh_schedules_register(&wrong, 0) == BH_INVALID && bh_last_error().size != 0);
}

static void check_metrics(void) {
  const bh_json labels = BH_TEXT("{\"kind\":\"a\"}");
  CHECK(bh_metrics_counter(BH_TEXT("made_total"), 1, labels) == BH_OK);
  CHECK(bh_metrics_gauge(BH_TEXT("level"), -0.5, BH_NONE) == BH_OK);
  CHECK(bh_metrics_histogram(BH_TEXT("seconds"), 1e-3, BH_NONE) == BH_OK);
  CHECK(bh_metrics_counter(BH_TEXT("level"), 1, BH_NONE) == BH_INVALID);
  CHECK(bh_metrics_counter(BH_TEXT("1"), 1, BH_NONE) == BH_INVALID);
}

static void check_outside(void) {
  bh_text secret = BH_NONE;
  bh_fetched fetched;
  CHECK(bh_secrets_get(BH_TEXT("key"), &secret) == BH_NOT_FOUND);
  CHECK(bh_secrets_handle(BH_TEXT("key"), &secret) == BH_NOT_FOUND);
  CHECK(bh_secrets_get(BH_TEXT("another"), &secret) == BH_DENIED);
  const bh_fetch elsewhere = {.url = BH_TEXT("https://example.com/")};
  CHECK(bh_http_fetch(&elsewhere, &fetched) == BH_DENIED);
  bh_fetch nowhere = {.method = BH_TEXT("POST"), .url = BH_TEXT("http://example.invalid/"), .body = BH_TEXT("{}")};
  nowhere.redirect = BH_TEXT("manual");
  nowhere.timeout_ms = 2000;
  bh_fetch_header(&nowhere, BH_TEXT("content-type"), BH_TEXT("application/json"));
  const bh_code unreached = bh_http_fetch(&nowhere, &fetched);
  CHECK(unreached == BH_INTERNAL || unreached == BH_TIMEOUT);
}

int32_t bh_handle(const bh_request* request, bh_response* response) {
  (void)request;
  bh_json context = BH_NONE;
  bh_open_object(&failed);
  bh_put_name(&failed, BH_TEXT("failed"));
  bh_open_array(&failed);
  CHECK(bh_context_get(&context) == BH_OK);
  check_events_and_schedules();
  check_metrics();
  check_outside();
  bh_close_array(&failed);
  bh_close_object(&failed);
  return bh_answer_json(response, 200, bh_written(&failed));
}
