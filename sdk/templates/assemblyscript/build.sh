#!/bin/sh
# Builds dist/main.wasm with npm's assemblyscript. Needs Node 20 or newer.
set -eu
cd "$(dirname "$0")"
[ -d node_modules/assemblyscript ] || npm install --silent
npm run --silent build
