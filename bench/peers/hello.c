// The least that a wasi:http component can do: answer 200 text/plain "hello". Memory is only taken, never given back;
// an instance lives for one call.
#include <proxy.h>
#include <stdlib.h>
#include <string.h>

extern unsigned char __heap_base;
static unsigned char* heap_top = &__heap_base;

void* malloc(size_t size) {
  unsigned char* block = heap_top;
  heap_top += (size + 15) & ~(size_t)15;
  const size_t have = __builtin_wasm_memory_size(0) << 16;
  if ((size_t)heap_top > have && __builtin_wasm_memory_grow(0, ((size_t)heap_top - have + 0xffff) >> 16) == (size_t)-1)
    abort();
  return block;
}

// Bindings only grow lists that came from outside; none does here.
void* realloc(void* block, size_t size) { return block ? block : malloc(size); }
void free(void* block) { (void)block; }
void abort(void) { __builtin_trap(); }

size_t strlen(const char* text) {
  size_t size = 0;
  while (text[size]) ++size;
  return size;
}

int memcmp(const void* a, const void* b, size_t size) {
  const unsigned char *left = a, *right = b;
  for (size_t i = 0; i < size; ++i)
    if (left[i] != right[i]) return left[i] - right[i];
  return 0;
}

void exports_wasi_http_incoming_handler_handle(exports_wasi_http_incoming_handler_own_incoming_request_t request,
                                               exports_wasi_http_incoming_handler_own_response_outparam_t out) {
  (void)request;
  wasi_http_types_own_fields_t headers = wasi_http_types_constructor_fields();
  proxy_string_t name;
  wasi_http_types_header_error_t header_error;
  static unsigned char type[] = "text/plain";
  wasi_http_types_field_value_t value = {type, sizeof type - 1};
  proxy_string_set(&name, "content-type");
  wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(headers), &name, &value, &header_error);

  wasi_http_types_own_outgoing_response_t response = wasi_http_types_constructor_outgoing_response(headers);
  wasi_http_types_own_outgoing_body_t body;
  wasi_http_types_method_outgoing_response_body(wasi_http_types_borrow_outgoing_response(response), &body);
  wasi_http_types_result_own_outgoing_response_error_code_t result = {.is_err = false, .val.ok = response};
  wasi_http_types_static_response_outparam_set(out, &result);

  wasi_http_types_own_output_stream_t stream;
  wasi_io_streams_stream_error_t stream_error;
  wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream);
  static unsigned char text[] = "hello";
  proxy_list_u8_t bytes = {text, sizeof text - 1};
  wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(stream), &bytes,
                                                                &stream_error);
  wasi_io_streams_output_stream_drop_own(stream);
  wasi_http_types_error_code_t body_error;
  wasi_http_types_static_outgoing_body_finish(body, NULL, &body_error);
}
