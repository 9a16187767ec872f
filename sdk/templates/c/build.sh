#!/bin/sh
# Builds dist/main.wasm. Needs clang and lld with wasm32, e.g. Debian's clang-19 and lld-19 (CLANG names another one).
set -eu
cd "$(dirname "$0")"
mkdir -p dist
"${CLANG:-clang-19}" --target=wasm32 -std=c17 -Os -mbulk-memory -ffreestanding -nostdlib -Wall -Wextra \
  -I sdk -Wl,--no-entry -Wl,--stack-first -Wl,--strip-all -o dist/main.wasm src/*.c
