// Orders: create, read, replace, delete and list on storage.kv, with path parameters, validation and problem answers.
//
// One key per order, "0000000007", in the key space "orders"; the last id given is the key "last_id" in "meta". Ids and
// replacements are written on condition of the version that was read, so that two calls at once can't lose a write.
#define BULKHEAD_IMPLEMENTATION
#include "bulkhead.h"

#define ORDERS BH_TEXT("orders")
#define META BH_TEXT("meta")

enum { kMaxItems = 100, kMaxText = 100, kMaxQuantity = 1000, kPage = 20, kMaxPage = 50, kIdDigits = 10, kAttempts = 8 };

static const bh_condition kUnconditional = {0};

// ---- answers ------------------------------------------------------------------------------------------------------

static int32_t answer_code(bh_response* response, bh_code code) {
  switch (code) {
    case BH_NOT_FOUND:
      return bh_answer_problem(response, 404, BH_TEXT("order_not_found"), BH_TEXT("There is no order with this id."));
    case BH_CONFLICT:
      return bh_answer_problem(response, 409, BH_TEXT("order_changed"),
                               BH_TEXT("The order has changed since you read it; read it again."));
    case BH_DENIED:
      return bh_answer_problem(response, 403, BH_TEXT("storage_not_granted"),
                               BH_TEXT("Ask an admin to grant storage.kv to this install."));
    default:
      bh_log_error(bh_concat(BH_TEXT("storage failed with code "), bh_decimal(code)));
      return bh_answer_problem(response, 503, BH_TEXT("storage_failed"), BH_TEXT("Try again in a moment."));
  }
}

static void put_order(bh_writer* writer, bh_text key, const bh_stored* stored) {
  int64_t id = 0;
  for (uint32_t i = 0; i < key.size; ++i) id = id * 10 + (key.data[i] - '0');
  bh_open_object(writer);
  bh_put_name(writer, BH_TEXT("id"));
  bh_put_integer(writer, id);
  bh_put_name(writer, BH_TEXT("version"));
  bh_put_integer(writer, stored->version);
  for (bh_iterator i = bh_iterate(stored->value); bh_next(&i);) {
    bh_put_name(writer, i.name);
    bh_put_json(writer, i.value);
  }
  bh_close_object(writer);
}

static int32_t answer_order(bh_response* response, int32_t status, bh_text key, const bh_stored* stored) {
  bh_writer writer = {0};
  put_order(&writer, key, stored);
  return bh_answer_json(response, status, bh_written(&writer));
}

// ---- validation ---------------------------------------------------------------------------------------------------

// What is wrong with a body: an array of {"pointer","message"}, as in RFC 9457 problem documents.
typedef struct problems {
  bh_writer list;
  uint32_t count;
} problems;

static void add_problem(problems* found, bh_text pointer, bh_text message) {
  if (found->count++ == 0) bh_open_array(&found->list);
  bh_open_object(&found->list);
  bh_put_name(&found->list, BH_TEXT("pointer"));
  bh_put_string(&found->list, pointer);
  bh_put_name(&found->list, BH_TEXT("message"));
  bh_put_string(&found->list, message);
  bh_close_object(&found->list);
}

static void check_text(problems* found, bh_json value, bh_text pointer) {
  bh_text text;
  if (!bh_string(value, &text) || text.size == 0 || text.size > kMaxText)
    add_problem(found, pointer, BH_TEXT("must be a text of 1 to 100 bytes"));
}

static void check_item(problems* found, bh_json item, bh_text pointer) {
  if (bh_kind_of(item) != BH_OBJECT) {
    add_problem(found, pointer, BH_TEXT("must be an object"));
    return;
  }
  int64_t quantity = 0;
  check_text(found, bh_member(item, BH_TEXT("sku")), bh_concat(pointer, BH_TEXT("/sku")));
  if (!bh_integer(bh_member(item, BH_TEXT("quantity")), &quantity) || quantity < 1 || quantity > kMaxQuantity)
    add_problem(found, bh_concat(pointer, BH_TEXT("/quantity")), BH_TEXT("must be a whole number from 1 to 1000"));
}

static void check_items(problems* found, bh_json items) {
  uint32_t count = 0;
  for (bh_iterator i = bh_iterate(items); bh_next(&i) && count <= kMaxItems; ++count)
    check_item(found, i.value, bh_concat(BH_TEXT("/items/"), bh_decimal(count)));
  if (bh_kind_of(items) != BH_ARRAY || count == 0 || count > kMaxItems)
    add_problem(found, BH_TEXT("/items"), BH_TEXT("must be a list of 1 to 100 items"));
}

// The order in the body, without "version"; false once an answer has been given.
static bool read_order(const bh_request* request, bh_response* response, bh_json* order, int64_t* version) {
  bh_text body;
  bh_json document;
  if (!bh_body(request, &body) || !bh_parse(body, &document) || bh_kind_of(document) != BH_OBJECT) {
    bh_answer_problem(response, 400, BH_TEXT("invalid_json"), BH_TEXT("Send the order as a JSON object."));
    return false;
  }
  problems found = {0};
  bh_writer clean = {0};
  bh_open_object(&clean);
  for (bh_iterator i = bh_iterate(document); bh_next(&i);) {
    if (bh_equal(i.name, BH_TEXT("version"))) {
      if (!bh_integer(i.value, version)) add_problem(&found, BH_TEXT("/version"), BH_TEXT("must be a whole number"));
    } else if (bh_equal(i.name, BH_TEXT("customer")) || bh_equal(i.name, BH_TEXT("items"))) {
      bh_put_name(&clean, i.name);
      bh_put_json(&clean, i.value);
    } else {
      add_problem(&found, bh_concat(BH_TEXT("/"), i.name), BH_TEXT("is not known"));
    }
  }
  bh_close_object(&clean);
  check_text(&found, bh_member(document, BH_TEXT("customer")), BH_TEXT("/customer"));
  check_items(&found, bh_member(document, BH_TEXT("items")));
  if (found.count == 0) {
    *order = bh_written(&clean);
    return true;
  }
  bh_close_array(&found.list);
  bh_answer_problems(response, 422, BH_TEXT("order_invalid"), BH_TEXT("The order is not valid; see errors."),
                     bh_written(&found.list));
  return false;
}

// ---- ids ----------------------------------------------------------------------------------------------------------

static bh_text order_key(int64_t id) {
  const bh_text digits = bh_decimal(id);
  return bh_concat((bh_text){"0000000000", kIdDigits - digits.size}, digits);
}

// The key of the order in the path; false if the id is none of ours.
static bool key_in_path(const bh_request* request, bh_text* key) {
  int64_t id = 0;
  const bh_text text = bh_param(request, BH_TEXT("id"));
  if (text.size > kIdDigits || !bh_integer(text, &id) || id < 1) return false;
  *key = order_key(id);
  return true;
}

// Takes the next id. Two calls at once read the same last id; the second one's write is refused, and it reads again.
static bh_code next_id(int64_t* id) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    bh_stored last = {0};
    const bh_code read = bh_storage_get(META, BH_TEXT("last_id"), &last);
    if (read != BH_OK && read != BH_NOT_FOUND) return read;
    if (read == BH_NOT_FOUND || !bh_integer(last.value, id)) *id = 0;
    ++*id;
    const bh_condition unchanged = {.checked = true, .version = last.version};
    const bh_code written = bh_storage_set(META, BH_TEXT("last_id"), bh_decimal(*id), unchanged, 0);
    if (written != BH_CONFLICT) return written;
  }
  return BH_QUOTA;
}

// ---- the five endpoints -------------------------------------------------------------------------------------------

static int32_t list_orders(const bh_request* request, bh_response* response) {
  int64_t limit = kPage;
  const bh_text wanted = bh_query(request, BH_TEXT("limit"));
  if (wanted.size && (!bh_integer(wanted, &limit) || limit < 1 || limit > kMaxPage))
    return bh_answer_problem(response, 400, BH_TEXT("invalid_limit"), BH_TEXT("limit must be from 1 to 50."));
  bh_json page;
  const bh_code code = bh_storage_list(ORDERS, BH_NONE, bh_query(request, BH_TEXT("cursor")), (uint32_t)limit, &page);
  if (code == BH_INVALID)
    return bh_answer_problem(response, 400, BH_TEXT("invalid_cursor"), BH_TEXT("Send the cursor of the page before."));
  if (code != BH_OK) return answer_code(response, code);

  bh_writer writer = {0};
  bh_open_object(&writer);
  bh_put_name(&writer, BH_TEXT("orders"));
  bh_open_array(&writer);
  for (bh_iterator i = bh_iterate(bh_member(page, BH_TEXT("items"))); bh_next(&i);) {
    bh_text key;
    bh_stored stored;
    if (!bh_string(bh_member(i.value, BH_TEXT("key")), &key)) continue;
    const bh_code read = bh_storage_get(ORDERS, key, &stored);
    if (read == BH_NOT_FOUND) continue;  // deleted since the list was made
    if (read != BH_OK) return answer_code(response, read);
    put_order(&writer, key, &stored);
  }
  bh_close_array(&writer);
  const bh_json cursor = bh_member(page, BH_TEXT("cursor"));
  if (cursor.size) {
    bh_put_name(&writer, BH_TEXT("cursor"));
    bh_put_json(&writer, cursor);
  }
  bh_close_object(&writer);
  return bh_answer_json(response, 200, bh_written(&writer));
}

static int32_t create_order(const bh_request* request, bh_response* response) {
  bh_stored order = {0};
  int64_t id = 0;
  if (!read_order(request, response, &order.value, &order.version)) return 0;
  bh_code code = next_id(&id);
  const bh_text key = order_key(id);
  const bh_condition absent = {.checked = true, .version = 0};
  if (code == BH_OK) code = bh_storage_set(ORDERS, key, order.value, absent, &order.version);
  if (code != BH_OK) return answer_code(response, code);
  bh_log_info(bh_concat(BH_TEXT("created order "), bh_decimal(id)));
  bh_set_header(response, BH_TEXT("location"), bh_concat(BH_TEXT("/orders/"), bh_decimal(id)));
  return answer_order(response, 201, key, &order);
}

static int32_t read_one(bh_response* response, bh_text key) {
  bh_stored order;
  const bh_code code = bh_storage_get(ORDERS, key, &order);
  return code == BH_OK ? answer_order(response, 200, key, &order) : answer_code(response, code);
}

// Replaces an order that is there. With "version" in the body only if that is still its version.
static int32_t replace_order(const bh_request* request, bh_response* response, bh_text key) {
  bh_stored order = {0};
  bh_stored present;
  if (!read_order(request, response, &order.value, &order.version)) return 0;
  bh_code code = bh_storage_get(ORDERS, key, &present);
  if (code != BH_OK) return answer_code(response, code);
  const bh_condition unchanged = {.checked = true, .version = order.version ? order.version : present.version};
  code = bh_storage_set(ORDERS, key, order.value, unchanged, &order.version);
  return code == BH_OK ? answer_order(response, 200, key, &order) : answer_code(response, code);
}

static int32_t remove_order(bh_response* response, bh_text key) {
  bh_stored order;
  bh_code code = bh_storage_get(ORDERS, key, &order);
  if (code == BH_OK) code = bh_storage_delete(ORDERS, key, kUnconditional);
  return code == BH_OK ? bh_answer_empty(response, 204) : answer_code(response, code);
}

int32_t bh_handle(const bh_request* request, bh_response* response) {
  if (bh_equal(request->handler, BH_TEXT("list"))) return list_orders(request, response);
  if (bh_equal(request->handler, BH_TEXT("create"))) return create_order(request, response);
  bh_text key;
  if (!key_in_path(request, &key)) return answer_code(response, BH_NOT_FOUND);
  if (bh_equal(request->handler, BH_TEXT("read"))) return read_one(response, key);
  if (bh_equal(request->handler, BH_TEXT("replace"))) return replace_order(request, response, key);
  if (bh_equal(request->handler, BH_TEXT("remove"))) return remove_order(response, key);
  return 1;  // the manifest names a handler that isn't here
}
