# ./dev build: native/ (Rust, once per Cargo.lock + rustc + features), then CMake and Ninja.

# native_dir PRESET: the folder of the built native archive, lib/libbulkhead_native.a.
native_dir() {
  local key
  key=$(cat native/Cargo.lock native/Cargo.toml native/src/*.rs <(rustc --version) | sha256sum | cut -c1-24)
  [ "$1" != fuzz ] || key+=-$(sha256sum tools/dev/rustc_fuzz | cut -c1-8)
  echo "$BH_CACHE/native/$key"
}

# For the fuzz preset our own Rust, not its crates, tells libFuzzer what it reaches.
build_native() {
  local out wrapper=()
  out=$(native_dir "$1")
  [ -f "$out/complete" ] && return 0
  [ "$1" != fuzz ] || wrapper=(RUSTC_WORKSPACE_WRAPPER="$BH_ROOT/tools/dev/rustc_fuzz")
  (
    mkdir -p "$BH_CACHE/native"
    flock 9
    [ -f "$out/complete" ] && exit 0
    echo "building native/ (Wasmtime; about 5 minutes on 2 cores the first time, kept in $BH_CACHE)" >&2
    env "${wrapper[@]}" cargo build --release --locked --manifest-path native/Cargo.toml \
      --target-dir "$BH_CACHE/native/target"
    mkdir -p "$out.part/lib"
    cp "$BH_CACHE/native/target/release/libbulkhead_native.a" "$out.part/lib/"
    touch "$out.part/complete"
    rm -rf "$out"
    mv "$out.part" "$out"
  ) 9>"$BH_CACHE/native/lock"
}

dev_build() {
  local preset=release native targets=()
  while [ $# -gt 0 ]; do
    case $1 in
      --preset) preset=$2; shift 2 ;;
      --preset=*) preset=${1#*=}; shift ;;
      *) targets+=("$1"); shift ;;
    esac
  done
  require_setup
  mkdir -p "$BH_CACHE/native" "$BH_CACHE/ccache" build
  build_native "$preset"
  native=$(native_dir "$preset")
  export CCACHE_DIR="$BH_CACHE/ccache" CCACHE_BASEDIR="$BH_ROOT" CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=5G
  export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
  (
    flock 8
    if [ ! -f "build/$preset/build.ninja" ] || [ CMakePresets.json -nt "build/$preset/build.ninja" ] ||
      ! grep -q "BH_NATIVE_DIR:PATH=$native\$" "build/$preset/CMakeCache.txt"; then
      cmake --preset "$preset" -DBH_NATIVE_DIR="$native" >"build/$preset.configure.log" 2>&1 ||
        { cat "build/$preset.configure.log" >&2; exit 1; }
    fi
    ninja -C "build/$preset" --quiet "${targets[@]}"
  ) 8>"build/$preset.lock"
  [ ! -f "build/$preset/bin/bulkhead" ] || [ "$preset" != release ] || ln -sf release/bin/bulkhead build/bulkhead
}
