// What the test guests share: the exports of guest ABI v1 that a well-behaved module has, and an answer in one call.
// Deliberately not the SDK: these modules are to be tiny, and many of them are to be wrong.
// A guest's first lines may hold `// guest-flags: …` with extra arguments for clang.
#pragma once

typedef unsigned char u8;
typedef __UINT32_TYPE__ u32;
typedef __INT32_TYPE__ i32;
typedef __UINT64_TYPE__ u64;

#define EXPORT(name) __attribute__((export_name(name), used))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

// The 8 bytes that out_ptr points at: response pointer and length, little endian.
struct answer {
  const void* data;
  u32 size;
};

#ifndef GUEST_WITHOUT_ALLOC
extern u8 __heap_base;
static u8* heap_top = &__heap_base;

// Bump allocation: an instance lives for one call, so nothing is ever freed.
EXPORT("alloc") void* alloc(u32 size) {
  const u32 wanted = (size + 15u) & ~15u;
  if (wanted < size) return 0;
  const u64 end = (u64)(u32)(heap_top + 0) + wanted;
  const u64 have = (u64)__builtin_wasm_memory_size(0) << 16;
  if (end > have && __builtin_wasm_memory_grow(0, (u32)((end - have + 0xffff) >> 16)) == (u32)-1) return 0;
  u8* block = heap_top;
  heap_top += wanted;
  return block;
}
#endif

static inline i32 reply(struct answer* out, const void* data, u32 size) {
  out->data = data;
  out->size = size;
  return 0;
}

#define REPLY_LITERAL(out, text) reply((out), (text), sizeof(text) - 1)

// Appends the decimal digits of value at text[at]; returns the new end.
static inline u32 append_number(char* text, u32 at, u64 value) {
  char digits[20];
  u32 count = 0;
  do {
    digits[count++] = (char)('0' + value % 10);
    value /= 10;
  } while (value);
  while (count) text[at++] = digits[--count];
  return at;
}

static inline u32 append_text(char* text, u32 at, const char* add) {
  while (*add) text[at++] = *add++;
  return at;
}
