#!/bin/sh
# Builds the crate in the working directory into dist/main.wasm with whatever Rust the machine has:
#   1. a toolchain (of rustup, for example) that has the target wasm32-unknown-unknown;
#   2. one that has the standard library's source, which is then compiled for the target (first build: about a minute);
#   3. Debian's packages rustc-web, cargo-web, rust-web-src and lld-19, in the same way.
# CARGO and RUSTC name a toolchain, CARGO_TARGET_DIR the folder for everything in between, BULKHEAD_RUST_PREFIX another
# place of the packages than /usr.
set -eu

TARGET=wasm32-unknown-unknown
CARGO=${CARGO:-cargo} RUSTC=${RUSTC:-rustc} PREFIX=${BULKHEAD_RUST_PREFIX:-/usr}

has_target() { ls "$1/lib/rustlib/$TARGET/lib/"libcore-* >/dev/null 2>&1; }
has_source() { [ -e "$1/lib/rustlib/src/rust/library/Cargo.lock" ]; }
linker() { command -v wasm-ld-19 || command -v wasm-ld || ls "$1"/lib/rustlib/*/bin/rust-lld 2>/dev/null; }

sysroot=$("$RUSTC" --print sysroot 2>/dev/null || true)
if [ -n "$sysroot" ] && has_target "$sysroot"; then
  std=ready
elif [ -n "$sysroot" ] && has_source "$sysroot" && linker "$sysroot" >/dev/null; then
  std=source
elif [ -x "$PREFIX/bin/rustc" ] && [ -x "$PREFIX/bin/cargo" ] && has_source "$PREFIX" && linker "$PREFIX" >/dev/null; then
  CARGO=$PREFIX/bin/cargo RUSTC=$PREFIX/bin/rustc sysroot=$PREFIX std=source
else
  cat >&2 <<MESSAGE
There is no Rust here that can build for $TARGET. On Debian 12, as root:
  apt-get install rustc-web cargo-web rust-web-src lld-19
With rustup:
  rustup target add $TARGET
MESSAGE
  exit 1
fi
export RUSTC

name=$(sed -n 's/^name *= *"\(.*\)"/\1/p' Cargo.toml | head -n 1 | tr - _)
target_dir=${CARGO_TARGET_DIR:-target}
set -- build --release --quiet --target "$TARGET"
[ ! -e Cargo.lock ] || set -- "$@" --locked
if [ "$std" = source ]; then
  # -Z build-std is for nightly compilers; RUSTC_BOOTSTRAP lets a stable one do it.
  export RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(linker "$sysroot")
  set -- "$@" -Z build-std=std,panic_abort
fi
"$CARGO" "$@"
mkdir -p dist
cp "$target_dir/$TARGET/release/$name.wasm" dist/main.wasm
