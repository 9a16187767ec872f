# ./dev fuzz: each fuzz target for some seconds, as many at once as there are cores, from its seeds in test/fuzz/NAME/, its
# words in test/fuzz/NAME.dict where there are some, and the corpus in the cache.

dev_fuzz() {
  local seconds=60 names=() name failed=() files file
  while [ $# -gt 0 ]; do
    case $1 in
      --seconds) seconds=$2; shift 2 ;;
      --seconds=*) seconds=${1#*=}; shift ;;
      -*)
        echo "usage: ./dev fuzz [--seconds N] [NAME ...]" >&2
        return 2
        ;;
      *) names+=("$1"); shift ;;
    esac
  done
  if [ ${#names[@]} = 0 ]; then
    mapfile -t files < <(find src -name '*_fuzz.cpp' | sort)
    for file in "${files[@]}"; do names+=("$(basename "$file" _fuzz.cpp)"); done
  fi
  dev_build --preset fuzz "${names[@]/#/fuzz_}"
  for name in "${names[@]}"; do
    [ "$(jobs -rp | wc -l)" -lt "$(nproc)" ] || wait -n || true
    fuzz_one "$name" "$seconds" &
  done
  wait
  for name in "${names[@]}"; do
    [ "$(cat "$BH_CACHE/fuzz/$name/exit")" = 0 ] || failed+=("$name")
  done
  [ ${#failed[@]} = 0 ] && echo "fuzz: ${#names[@]} targets, ${seconds} s each, no findings" && return 0
  echo "fuzz: findings in: ${failed[*]}" >&2
  return 1
}

# What is found stays outside the tree: $BH_CACHE/fuzz/NAME/{corpus,crash-…,log,exit}. One line each, because as many
# targets run at once as there are cores: how often it ran, and the edges that its seeds and corpus reached at the start
# and all inputs at the end.
fuzz_one() {
  local name=$1 seconds=$2 folder=$BH_CACHE/fuzz/$1 code=0 seeds=() words=()
  mkdir -p "$folder/corpus"
  [ ! -d "test/fuzz/$name" ] || seeds=("test/fuzz/$name")
  [ ! -f "test/fuzz/$name.dict" ] || words=("-dict=test/fuzz/$name.dict")
  "build/fuzz/bin/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2560 -artifact_prefix="$folder/" \
    -print_final_stats=1 "${words[@]}" "$folder/corpus" "${seeds[@]}" >"$folder/log" 2>&1 || code=$?
  echo $code >"$folder/exit"
  echo "fuzz $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/log" | tail -n 1) runs," \
    "edges $(fuzz_edges head "$folder/log") to $(fuzz_edges tail "$folder/log"), exit $code"
  [ $code = 0 ] || tail -n 40 "$folder/log" | sed "s/^/$name| /" >&2
}

# The first or last "cov:" of a log.
fuzz_edges() { sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$2" | "$1" -n 1; }
