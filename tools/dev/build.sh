# ./dev build: native/ (Rust, once per Cargo.lock + rustc + features), then CMake and Ninja.

# Prints the folder of the built native archive: lib/libbulkhead_native.a.
native_dir() {
  local key
  key=$(cat native/Cargo.lock native/Cargo.toml native/src/*.rs <(rustc --version) | sha256sum | cut -c1-24)
  echo "$BH_CACHE/native/$key"
}

build_native() {
  local out
  out=$(native_dir)
  [ -f "$out/complete" ] && return 0
  (
    mkdir -p "$BH_CACHE/native"
    flock 9
    [ -f "$out/complete" ] && exit 0
    echo "building native/ (Wasmtime; about 5 minutes on 2 cores, kept in $BH_CACHE)" >&2
    cargo build --release --locked --manifest-path native/Cargo.toml --target-dir "$BH_CACHE/native/target"
    mkdir -p "$out.part/lib"
    cp "$BH_CACHE/native/target/release/libbulkhead_native.a" "$out.part/lib/"
    touch "$out.part/complete"
    rm -rf "$out"
    mv "$out.part" "$out"
  ) 9>"$BH_CACHE/native/lock"
}

dev_build() {
  local preset=release targets=()
  while [ $# -gt 0 ]; do
    case $1 in
      --preset) preset=$2; shift 2 ;;
      --preset=*) preset=${1#*=}; shift ;;
      *) targets+=("$1"); shift ;;
    esac
  done
  require_setup
  mkdir -p "$BH_CACHE/native" "$BH_CACHE/ccache" build
  build_native
  export CCACHE_DIR="$BH_CACHE/ccache" CCACHE_BASEDIR="$BH_ROOT" CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=5G
  export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
  (
    flock 8
    if [ ! -f "build/$preset/build.ninja" ] || [ CMakePresets.json -nt "build/$preset/build.ninja" ] ||
      ! grep -q "BH_NATIVE_DIR:PATH=$(native_dir)\$" "build/$preset/CMakeCache.txt"; then
      cmake --preset "$preset" -DBH_NATIVE_DIR="$(native_dir)" >"build/$preset.configure.log" 2>&1 ||
        { cat "build/$preset.configure.log" >&2; exit 1; }
    fi
    ninja -C "build/$preset" --quiet "${targets[@]}"
  ) 8>"build/$preset.lock"
  [ ! -f "build/$preset/bin/bulkhead" ] || [ "$preset" != release ] || ln -sf release/bin/bulkhead build/bulkhead
}
