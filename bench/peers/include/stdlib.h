// What generated bindings need of libc; hello.c defines it.
#pragma once
#include <stddef.h>
void* malloc(size_t size);
void* realloc(void* block, size_t size);
void free(void* block);
_Noreturn void abort(void);
