// Checks the C library inside a guest and answers with the names of the checks that failed.
#define BULKHEAD_IMPLEMENTATION
#include "bulkhead.h"

static bh_writer failed;

static void check(bool holds, bh_text name) {
  if (!holds) bh_put_string(&failed, name);
}

#define CHECK(condition) check((condition), BH_TEXT(#condition))

static bool is_json(bh_text text) {
  bh_json value;
  return bh_parse(text, &value);
}

static void check_grammar(void) {
  static const bh_text valid[] = {
      BH_TEXT("{}"),   BH_TEXT("[]"), BH_TEXT(" [1, 2 ,{\"a\":null}] "), BH_TEXT("-0.5e+10"), BH_TEXT("\"\\u00e9\\n\""),
      BH_TEXT("true"), BH_TEXT("0"),  BH_TEXT("{\"a\":{\"b\":[[]]}}"),
  };
  static const bh_text invalid[] = {
      BH_TEXT(""),    BH_TEXT("{"),     BH_TEXT("[1,]"),  BH_TEXT("{\"a\":}"), BH_TEXT("{,}"),       BH_TEXT("01"),
      BH_TEXT("1."),  BH_TEXT("-"),     BH_TEXT("\"a"),   BH_TEXT("\"\\x\""),  BH_TEXT("{\"a\" 1}"), BH_TEXT("1e"),
      BH_TEXT("tru"), BH_TEXT("nulll"), BH_TEXT("[] []"), BH_TEXT("\"\t\""),   BH_TEXT("\"\\u12\""), BH_TEXT("+1"),
  };
  for (uint32_t i = 0; i < sizeof valid / sizeof *valid; ++i) check(is_json(valid[i]), valid[i]);
  for (uint32_t i = 0; i < sizeof invalid / sizeof *invalid; ++i) check(!is_json(invalid[i]), invalid[i]);

  char deep[130];
  for (uint32_t i = 0; i < 130; ++i) deep[i] = i < 65 ? '[' : ']';
  CHECK(is_json((bh_text){deep + 1, 128}));
  CHECK(!is_json((bh_text){deep, 130}));
}

static void check_reading(void) {
  bh_json document = BH_NONE;
  CHECK(bh_parse(BH_TEXT("{\"a\\u0062\":[1,{\"x\":\"\\ud83d\\ude00\\ud800!\"}],\"least\":-9223372036854775808,"
                         "\"more\":9223372036854775808,\"part\":1.5,\"yes\":true,\"no\":false}"),
                 &document));
  int64_t number = 0;
  bool flag = false;
  bh_text text = BH_NONE;
  CHECK(bh_integer(bh_member(document, BH_TEXT("least")), &number) && number == INT64_MIN);
  CHECK(!bh_integer(bh_member(document, BH_TEXT("more")), &number));
  CHECK(!bh_integer(bh_member(document, BH_TEXT("part")), &number));
  CHECK(bh_boolean(bh_member(document, BH_TEXT("yes")), &flag) && flag);
  CHECK(bh_boolean(bh_member(document, BH_TEXT("no")), &flag) && !flag);
  CHECK(bh_kind_of(bh_member(bh_member(document, BH_TEXT("none")), BH_TEXT("at all"))) == BH_ABSENT);
  uint32_t count = 0;
  for (bh_iterator i = bh_iterate(bh_member(document, BH_TEXT("ab"))); bh_next(&i); ++count)
    bh_string(bh_member(i.value, BH_TEXT("x")), &text);
  CHECK(count == 2);
  CHECK(bh_equal(text, BH_TEXT("\xf0\x9f\x98\x80\xef\xbf\xbd!")));  // a pair, and half a pair
  count = 0;
  for (bh_iterator i = bh_iterate(document); bh_next(&i);) ++count;
  CHECK(count == 6);
}

static void check_base64(void) {
  static const bh_text plain[] = {BH_TEXT(""), BH_TEXT("f"), BH_TEXT("fo"), BH_TEXT("foo"), BH_TEXT("\xff\0\xfe")};
  static const bh_text coded[] = {BH_TEXT(""), BH_TEXT("Zg=="), BH_TEXT("Zm8="), BH_TEXT("Zm9v"), BH_TEXT("/wD+")};
  bh_text decoded;
  for (uint32_t i = 0; i < sizeof plain / sizeof *plain; ++i) {
    check(bh_equal(bh_base64(plain[i]), coded[i]), coded[i]);
    check(bh_unbase64(coded[i], &decoded) && bh_equal(decoded, plain[i]), coded[i]);
  }
  CHECK(!bh_unbase64(BH_TEXT("a==="), &decoded));
  CHECK(!bh_unbase64(BH_TEXT("ab=c"), &decoded));
  CHECK(!bh_unbase64(BH_TEXT("Zm8=Zm8="), &decoded));
  CHECK(!bh_unbase64(BH_TEXT("Zm9"), &decoded));
}

static void check_writing(void) {
  bh_writer writer = {0};
  bh_open_array(&writer);
  bh_put_string(&writer, BH_TEXT("q\"\\\n\x01é"));
  bh_put_integer(&writer, INT64_MIN);
  bh_open_object(&writer);
  bh_put_name(&writer, BH_TEXT("a"));
  bh_put_boolean(&writer, true);
  bh_put_name(&writer, BH_TEXT("b"));
  bh_put_json(&writer, BH_NONE);
  bh_close_object(&writer);
  bh_close_array(&writer);
  CHECK(bh_equal(bh_written(&writer),
                 BH_TEXT("[\"q\\\"\\\\\\u000a\\u0001é\",-9223372036854775808,{\"a\":true,\"b\":null}]")));
}

static void check_request(const bh_request* request) {
  bh_text body = BH_NONE;
  bh_json context = BH_NONE;
  CHECK(bh_equal(request->method, BH_TEXT("POST")));
  CHECK(bh_equal(request->path, BH_TEXT("/check/a é\"")));
  CHECK(bh_equal(request->handler, BH_TEXT("check")));
  CHECK(bh_equal(bh_param(request, BH_TEXT("id")), BH_TEXT("a é\"")));
  CHECK(bh_equal(bh_query(request, BH_TEXT("q")), BH_TEXT("1 2")));
  CHECK(bh_body(request, &body) && bh_equal(body, BH_TEXT("body \x01é")));
  CHECK(bh_context_get(&context) == BH_OK);
  CHECK(bh_equal(bh_member(context, BH_TEXT("request_id")), bh_member(request->context, BH_TEXT("request_id"))));
}

static void check_storage(void) {
  const bh_text space = BH_TEXT("checks");
  const bh_condition any = {0};
  const bh_condition absent = {.checked = true, .version = 0};
  bh_stored stored;
  bh_json page;
  int64_t version = 0;
  CHECK(bh_storage_get(space, BH_TEXT("a"), &stored) == BH_NOT_FOUND);
  CHECK(bh_storage_set(space, BH_TEXT("a"), BH_TEXT("{\"n\":[1,\"é\"]}"), absent, &version) == BH_OK);
  CHECK(bh_storage_set(space, BH_TEXT("a"), BH_TEXT("2"), absent, 0) == BH_CONFLICT);
  CHECK(bh_storage_get(space, BH_TEXT("a"), &stored) == BH_OK && stored.version == version);
  CHECK(bh_kind_of(bh_member(stored.value, BH_TEXT("n"))) == BH_ARRAY);
  CHECK(bh_storage_get(BH_NONE, BH_TEXT("a"), &stored) == BH_NOT_FOUND);
  CHECK(bh_storage_bulk_put(space, BH_TEXT("[{\"key\":\"b\",\"value\":1},{\"key\":\"c\",\"value\":2}]")) == BH_OK);
  CHECK(bh_storage_list(space, BH_NONE, BH_NONE, 2, &page) == BH_OK);
  bh_text cursor = BH_NONE;
  CHECK(bh_string(bh_member(page, BH_TEXT("cursor")), &cursor));
  CHECK(bh_storage_list(space, BH_NONE, cursor, 2, &page) == BH_OK);
  CHECK(bh_kind_of(bh_member(page, BH_TEXT("cursor"))) == BH_ABSENT);
  bh_iterator last = bh_iterate(bh_member(page, BH_TEXT("items")));
  bh_text key = BH_NONE;
  CHECK(bh_next(&last) && bh_string(bh_member(last.value, BH_TEXT("key")), &key) && bh_equal(key, BH_TEXT("c")));
  CHECK(bh_storage_delete(space, BH_TEXT("a"), any) == BH_OK);
  CHECK(bh_storage_delete(space, BH_TEXT("a"), any) == BH_OK);
  CHECK(bh_storage_get(space, BH_TEXT("a"), &stored) == BH_NOT_FOUND);
}

static void check_numbers(void) {
  static const struct {
    double value;
    bh_text text;
  } cases[] = {
      {0, BH_TEXT("0")},
      {-3, BH_TEXT("-3")},
      {1.5, BH_TEXT("15e-1")},
      {-0.001, BH_TEXT("-1e-3")},
      {1e300, BH_TEXT("1e300")},
      {2.5e-9, BH_TEXT("25e-10")},
      {__builtin_inf(), BH_TEXT("null")},
      {__builtin_nan(""), BH_TEXT("null")},
      {123456.75, BH_TEXT("12345675e-2")},
  };
  for (uint32_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    bh_writer writer = {0};
    bh_put_number(&writer, cases[i].value);
    check(bh_equal(bh_written(&writer), cases[i].text), cases[i].text);
  }
}

// The install of these checks is not granted any of it: each call is refused, with words, and nothing traps.
static void check_denials(void) {
  bh_text handle = BH_NONE;
  CHECK(bh_secrets_handle(BH_TEXT("key"), &handle) == BH_DENIED);
  CHECK(bh_secrets_get(BH_TEXT("key"), &handle) == BH_DENIED);
  bh_fetch fetch = {.method = BH_TEXT("POST"), .url = BH_TEXT("https://example.com"), .body = BH_TEXT("{}")};
  bh_fetched fetched;
  bh_fetch_header(&fetch, BH_TEXT("accept"), BH_TEXT("*/*"));
  bh_fetch_secret_header(&fetch, BH_TEXT("authorization"), BH_TEXT("Bearer "), BH_TEXT("none"));
  CHECK(bh_http_fetch(&fetch, &fetched) == BH_DENIED && bh_last_error().size != 0);
  CHECK(bh_events_emit(BH_TEXT("a.b"), BH_TEXT("1"), BH_NONE, 0) == BH_DENIED);
  const bh_schedule schedule = {.id = BH_TEXT("a"), .cron = BH_TEXT("0 3 * * *")};
  CHECK(bh_schedules_register(&schedule, 0) == BH_DENIED);
  CHECK(bh_schedules_cancel(BH_TEXT("a")) == BH_DENIED);
  CHECK(bh_metrics_counter(BH_TEXT("a"), 1, BH_TEXT("{\"kind\":\"a\"}")) == BH_DENIED);
  CHECK(bh_metrics_gauge(BH_TEXT("a"), 0.5, BH_NONE) == BH_DENIED);
  CHECK(bh_metrics_histogram(BH_TEXT("a"), 1, BH_NONE) == BH_DENIED);
}

int32_t bh_handle(const bh_request* request, bh_response* response) {
  bh_open_object(&failed);
  bh_put_name(&failed, BH_TEXT("failed"));
  bh_open_array(&failed);
  check_grammar();
  check_reading();
  check_base64();
  check_writing();
  check_numbers();
  check_denials();
  check_request(request);
  check_storage();
  bh_close_array(&failed);
  bh_close_object(&failed);
  bh_log_info(BH_TEXT("checked é"));
  return bh_answer_json(response, 200, bh_written(&failed));
}
