#!/bin/sh
set -eu
cd "$(dirname "$0")"
mkdir -p dist
"${CLANG:-clang-19}" --target=wasm32 -std=c17 -Os -mbulk-memory -ffreestanding -nostdlib -Wall -Wextra -Werror \
  -I ../../../sdk/c -Wl,--no-entry -Wl,--stack-first -Wl,--strip-all -o dist/main.wasm src/main.c
