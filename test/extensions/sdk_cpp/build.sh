#!/bin/sh
set -eu
cd "$(dirname "$0")"
mkdir -p dist
set -- --target=wasm32 -Os -mbulk-memory -ffreestanding -nostdlib -Wall -Wextra -Werror -I ../../../sdk/c
"${CLANG:-clang-19}" "$@" -std=c17 -c -o dist/bulkhead.o src/bulkhead.c
"${CLANG:-clang-19}" "$@" -std=c++20 -fno-exceptions -fno-rtti -Wl,--no-entry -Wl,--stack-first -Wl,--strip-all \
  -o dist/main.wasm src/main.cpp dist/bulkhead.o
