#!/bin/sh
# Builds dist/main.wasm with npm's assemblyscript (Node 20 or newer).
set -eu
cd "$(dirname "$0")"
[ -d node_modules/assemblyscript ] || npm ci --silent
npm run --silent build
