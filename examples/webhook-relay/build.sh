#!/bin/sh
# Builds dist/main.wasm by Cargo. Needs a Rust that can build for wasm32-unknown-unknown; says which if there is none.
set -eu
cd "$(dirname "$0")"
exec ../../sdk/rust/build-wasm.sh
