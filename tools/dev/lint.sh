# ./dev lint: formatting, layers, shell and Python, clang-tidy. Nothing is changed; `./dev lint --fix` formats.

# Every source file of a kind: source_files '*.h' '*.cpp'
source_files() {
  local patterns=() pattern
  for pattern in "$@"; do patterns+=(-o -name "$pattern"); done
  find src apps sdk examples test bench native/include tools -type d \( -name node_modules -o -name dist \) -prune -o \
    -type f \( "${patterns[@]:1}" \) -print 2>/dev/null | sort
}

check_format() { source_files '*.h' '*.cpp' '*.c' | xargs clang-format-19 --dry-run -Werror; }

check_layers() { python3 tools/check_layers.py; }

check_shell() {
  shellcheck --shell=bash --external-sources dev tools/dev/*.sh .ci/run &&
    find examples sdk test -name node_modules -prune -o -name build.sh -exec shellcheck {} +
}

check_python() {
  "$BH_VENV/bin/ruff" check --quiet tools test bench && "$BH_VENV/bin/ruff" format --quiet --check tools test bench
}

# The commit that the work is compared with: where it left main, or the commit before. Nothing without git.
lint_base() {
  git rev-parse --git-dir >/dev/null 2>&1 || return 0
  git merge-base HEAD origin/main 2>/dev/null | grep -v "^$(git rev-parse HEAD)$" ||
    git rev-parse --verify --quiet HEAD~1 || true
}

# Sources to tidy: those of the build that changed, or all of them.
tidy_files() {
  local base
  if [ "$1" = all ]; then
    source_files '*.cpp'
  else
    base=$(lint_base)
    [ -n "$base" ] || return 0
    git diff --name-only --diff-filter=d "$base" -- '*.cpp'
  fi | grep -vE '_(fuzz|bench)\.cpp$' | while read -r file; do
    ! grep -qF "\"file\": \"$BH_ROOT/$file\"" build/release/compile_commands.json || echo "$file"
  done
}

check_tidy() {
  local files
  mapfile -t files < <(tidy_files "$1")
  [ ${#files[@]} -gt 0 ] || return 0
  echo "clang-tidy on ${#files[@]} files" >&2
  printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -n 1 clang-tidy-19 -p build/release --quiet --warnings-as-errors='*' \
    2> >(grep -v 'warnings generated' >&2)
}

dev_lint() {
  local scope=changed failed=() check
  while [ $# -gt 0 ]; do
    case $1 in
      --all) scope=all ;;
      --fix)
        require_setup system python
        source_files '*.h' '*.cpp' '*.c' | xargs clang-format-19 -i
        "$BH_VENV/bin/ruff" check --quiet --fix tools test bench
        "$BH_VENV/bin/ruff" format --quiet tools test bench
        return
        ;;
      *)
        echo "usage: ./dev lint [--all | --fix]" >&2
        return 2
        ;;
    esac
    shift
  done
  require_setup system python
  dev_build # clang-tidy reads the precompiled header and generated sources
  for check in check_format check_layers check_shell check_python "check_tidy $scope"; do
    $check || failed+=("${check%% *}")
  done
  [ ${#failed[@]} = 0 ] && echo "lint: clean" && return 0
  echo "lint: failed: ${failed[*]}" >&2
  return 1
}
