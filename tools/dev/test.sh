# ./dev test: format, unit tests and layers (ctest), end-to-end tests (pytest), each ending in its runner's own summary.

# Wasmtime handles SIGSEGV of guests; sanitizers must leave it alone.
export ASAN_OPTIONS=${ASAN_OPTIONS:-handle_segv=0:handle_sigill=0:handle_sigfpe=0:detect_stack_use_after_return=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-handle_segv=0:handle_sigill=0:handle_sigfpe=0:second_deadlock_stack=1:suppressions=$BH_ROOT/tools/dev/tsan.supp}

# run_unit_tests PRESET [NAME ...]
run_unit_tests() {
  local preset=$1 filter=()
  shift
  [ $# = 0 ] || filter=(-R "$(IFS='|'; echo "$*")")
  ctest --test-dir "build/$preset" -j "$(nproc)" --output-on-failure "${filter[@]}"
}

# run_end_to_end [NAME ...]; 5 is pytest's exit code for "no test has that name".
run_end_to_end() {
  local filter=() code=0
  [ $# = 0 ] || filter=(-k "$(printf ' or %s' "$@" | cut -c5-)")
  "$BH_VENV/bin/python" -m pytest test/e2e "${filter[@]}" || code=$?
  [ $code = 5 ] && [ $# -gt 0 ] && return 0
  return $code
}

dev_test() {
  local full='' names=() failed=()
  while [ $# -gt 0 ]; do
    case $1 in
      --full) full=1 ;;
      --fresh)
        shift
        test_fresh "$@"
        return
        ;;
      -*)
        echo "usage: ./dev test [--full | --fresh] [NAME ...]" >&2
        return 2
        ;;
      *) names+=("$1") ;;
    esac
    shift
  done
  require_setup system python node go
  dev_build
  [ ${#names[@]} -gt 0 ] || check_format || failed+=(format)
  if [ -n "$full" ]; then
    local preset
    for preset in asan tsan; do
      dev_build --preset "$preset"
      run_unit_tests "$preset" "${names[@]}" || failed+=("unit tests, $preset")
    done
    dev_fuzz --seconds 20 || failed+=(fuzz)
    dev_lint --all || failed+=(lint)
  fi
  run_unit_tests release "${names[@]}" || failed+=("unit tests")
  run_end_to_end "${names[@]}" || failed+=("end-to-end tests")
  [ ${#failed[@]} = 0 ] || {
    printf './dev test: failed: %s\n' "${failed[@]}" >&2
    return 1
  }
}
