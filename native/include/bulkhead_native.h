/* The C face of native/: everything that src/ uses of Rust. src/sandbox wraps the guest part, src/platform/schema the
 * JSON Schema part; nobody else includes this.
 *
 * Ownership: `bh_x_new` gives an object that `bh_x_delete` ends; a bh_buffer given out is freed with bh_buffer_free.
 * Pointers that go in are read during the call only, unless their comment says longer. No function blocks (compiling
 * aside) and none calls back, except utc_micros. Panics in Rust end the process. */
#ifndef BULKHEAD_NATIVE_H
#define BULKHEAD_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes owned by Rust. {NULL, 0, 0} is empty. */
typedef struct bh_buffer {
  uint8_t* data;
  size_t size;
  size_t capacity;
} bh_buffer;
void bh_buffer_free(bh_buffer buffer);

/* ---- engine ---------------------------------------------------------------------------------------------------- */

typedef struct bh_engine bh_engine;

typedef struct bh_engine_settings {
  uint32_t slots; /* live executions; 0 = an engine that only compiles */
  uint32_t max_table_elements;
  uint64_t max_memory;           /* bytes of linear memory of one instance */
  uint64_t memory_keep_resident; /* bytes of a slot that are zeroed in place when it is freed */
  uint64_t max_wasm_stack;
  bool fuel;
  /* Stamps log lines. Called on a guest's fiber: must be short. May be NULL for an engine that only compiles. */
  int64_t (*utc_micros)(const void* clock);
  const void* clock; /* outlives the engine */
} bh_engine_settings;

/* NULL on failure, with the reason in *error. */
bh_engine* bh_engine_new(const bh_engine_settings* settings, bh_buffer* error);
void bh_engine_delete(bh_engine* engine);
/* Ends the time slice of every running guest of this engine. Any thread. */
void bh_engine_tick(const bh_engine* engine);
/* Everything that compiled code depends on, as bytes to hash. */
bh_buffer bh_engine_compatibility(const bh_engine* engine);

/* ---- modules --------------------------------------------------------------------------------------------------- */

typedef enum bh_verdict { BH_MODULE_OK = 0, BH_MODULE_REJECTED = 1, BH_MODULE_MISSING_EXPORT = 2 } bh_verdict;
/* Checks a wasm binary against guest ABI v1. The reason of a refusal is in *message. */
bh_verdict bh_module_check(const uint8_t* wasm, size_t size, bh_buffer* message);
/* Machine code in *out, or the reason in *out and false. The module has passed bh_module_check. */
bool bh_module_compile(const bh_engine* engine, const uint8_t* wasm, size_t size, bh_buffer* out);

typedef struct bh_module bh_module;
/* Maps machine code that bh_module_compile made. Takes `fd` over. SECURITY: trusts the file's bytes; they were
 * authenticated and can't change. NULL on failure, with the reason in *error. */
bh_module* bh_module_load(const bh_engine* engine, int fd, bh_buffer* error);
void bh_module_delete(bh_module* module);

/* ---- executions ------------------------------------------------------------------------------------------------ */

typedef struct bh_execution bh_execution;

typedef struct bh_limits {
  uint64_t memory;   /* bytes */
  uint64_t fuel;     /* 0 = not metered; else the engine counts fuel */
  uint64_t response; /* bytes */
  uint64_t log;      /* bytes */
  uint32_t host_calls;
} bh_limits;

/* `request` is read until the first poll that is not BH_YIELDED has returned. */
bh_execution* bh_execution_new(const bh_module* module, const bh_limits* limits, const uint8_t* request, size_t size);
/* In any state; unwinds a suspended guest. */
void bh_execution_delete(bh_execution* execution);

typedef enum bh_progress {
  BH_DONE = 0,      /* see bh_execution_outcome; the instance is gone */
  BH_YIELDED = 1,   /* its time slice is over; poll again */
  BH_HOST_CALL = 2, /* answer with bh_execution_answer, then poll */
  BH_RESPONSE = 3   /* the guest's answer is in the event; poll again, which frees the instance */
} bh_progress;

typedef struct bh_event {
  uint32_t function;   /* BH_HOST_CALL: index into bh_host_function_name */
  uint32_t call;       /* BH_HOST_CALL: 1, 2, 3, ... */
  const uint8_t* data; /* request or response, in guest memory; valid until the next poll */
  size_t size;
} bh_event;

/* Runs the guest until one of the above. Not after BH_DONE. */
bh_progress bh_execution_poll(bh_execution* execution, bh_event* event);
/* The answer to the present host call. `json` is read during the polls up to the next one that is not BH_YIELDED.
 * `new_slice`: other guests had their turn meanwhile, so the guest gets a whole time slice. */
void bh_execution_answer(bh_execution* execution, int32_t code, const uint8_t* json, size_t size, bool new_slice);

typedef enum bh_outcome_kind {
  BH_OUTCOME_OK = 0,
  BH_OUTCOME_TRAP = 1,
  BH_OUTCOME_ABORT = 2,         /* env.abort */
  BH_OUTCOME_MEMORY = 3,        /* memory was refused and the guest could not go on */
  BH_OUTCOME_HANDLER_ERROR = 4, /* number = what handler returned */
  BH_OUTCOME_RESPONSE_SIZE = 5,
  BH_OUTCOME_ABI = 6, /* pointers outside memory */
  BH_OUTCOME_FUEL = 7,
  BH_OUTCOME_NO_SLOT = 8,
  BH_OUTCOME_INTERNAL = 9
} bh_outcome_kind;

typedef struct bh_outcome {
  bh_outcome_kind kind;
  int32_t number;
  const uint8_t* message; /* UTF-8, for the extension's author; owned by the execution */
  size_t message_size;
  const uint8_t* backtrace; /* UTF-8, a line per wasm frame; owned by the execution */
  size_t backtrace_size;
} bh_outcome;
/* After BH_DONE. */
void bh_execution_outcome(const bh_execution* execution, bh_outcome* outcome);

typedef struct bh_usage {
  uint64_t memory; /* high-water mark of linear memory in bytes */
  uint64_t fuel;   /* up to the last tick; exact after BH_DONE */
  uint32_t host_calls;
  bool log_truncated;
  uint32_t log_lines;
} bh_usage;
/* Between polls. */
void bh_execution_usage(const bh_execution* execution, bh_usage* usage);

typedef struct bh_log_line {
  int32_t level; /* 0 info, 1 warn, 2 error */
  int64_t utc_micros;
  const uint8_t* text; /* valid UTF-8; owned by the execution, until the next poll */
  size_t size;
} bh_log_line;
/* `index` < bh_usage.log_lines. */
void bh_execution_log(const bh_execution* execution, uint32_t index, bh_log_line* line);

/* Dotted name of a host function that waits ("storage.get"), or an empty string past the last one. */
const char* bh_host_function_name(uint32_t function);

/* ---- JSON Schema (draft 2020-12) ------------------------------------------------------------------------------- */

typedef struct bh_schema bh_schema;
/* Compiles a schema (UTF-8 JSON). No reference leaves the document: a remote $ref is an error. NULL on failure, with
 * the reason in *error and the place as a JSON pointer in *pointer. */
bh_schema* bh_schema_new(const uint8_t* json, size_t size, bh_buffer* pointer, bh_buffer* error);
void bh_schema_delete(bh_schema* schema);
/* Validates a document. true: valid, *problems untouched. false: *problems holds up to `limit` lines of JSON strings,
 * "[\"/pointer\",\"message\"]\n" each. Any thread. */
bool bh_schema_validate(const bh_schema* schema, const uint8_t* json, size_t size, size_t limit, bh_buffer* problems);

/* ---- tests and benchmarks; linked into nothing else ------------------------------------------------------------ */

/* WebAssembly text to binary; false: the reason is in *out. */
bool bh_wat_to_wasm(const uint8_t* text, size_t size, bh_buffer* out);
/* The least that Wasmtime needs to answer a request with a fresh instance: no fiber, no limit, nothing collected. The
 * module waits for no host call. Returns the response's length, 0 on failure. */
uint32_t bh_bare_run(const bh_module* module, const uint8_t* request, size_t size);

#ifdef __cplusplus
}
#endif
#endif
